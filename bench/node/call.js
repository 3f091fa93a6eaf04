"use strict";
// A method of another object, by name, in try and catch.
const meter = require("../lib/meter.js");

meter.args(20000000);

class Adder {
  add(value) { return value + 1; }
}

function call(object, name, value) {
  try {
    return object[name](value);
  } catch (error) {
    return error;
  }
}

const adder = new Adder();
let value = 0;
for (let times = meter.phase(); times; times = meter.phase()) {
  for (let i = 0; i < times; i++) value = call(adder, "add", value);
}
meter.set("value", value);
meter.report();
