"use strict";
// Refreshes one of `size` waiting timers. Node can only set it to its old
// delay again, not to another.
const meter = require("../lib/meter.js");

const [, , size] = meter.args(500000, 100000);
const delays = meter.delays(100000, 200000).map(Math.floor);

const timers = [];
for (let i = 0; i < size; i++)
  timers.push(setTimeout(() => {}, delays[i & 4095]));
for (let times = meter.phase(); times; times = meter.phase()) {
  for (let i = 0; i < times; i++) timers[i * 7919 % size].refresh();
}
meter.report();
process.exit();
