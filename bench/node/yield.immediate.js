"use strict";
// A function that queues itself with setImmediate.
const meter = require("../lib/meter.js");

meter.args(2000000);
let left;

function tick() {
  setImmediate(--left > 0 ? tick : phase);
}

function phase() {
  left = meter.phase();
  if (left) setImmediate(tick);
  else meter.report();
}

phase();
