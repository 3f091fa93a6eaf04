"use strict";
// A function that queues itself with process.nextTick.
const meter = require("../lib/meter.js");

meter.args(2000000);
let left;

function tick() {
  process.nextTick(--left > 0 ? tick : phase);
}

function phase() {
  left = meter.phase();
  if (left) process.nextTick(tick);
  else meter.report();
}

phase();
