"use strict";
// Sets a timer and clears it, while `size` others wait.
const meter = require("../lib/meter.js");

const [, , size] = meter.args(500000, 100000);
const delays = meter.delays(100000, 200000).map(Math.floor);

function late() {}

const before = meter.rss();
for (let i = 0; i < size; i++) setTimeout(late, delays[i & 4095]);
meter.set("bytes", (meter.rss() - before) / size);
for (let times = meter.phase(); times; times = meter.phase()) {
  for (let i = 0; i < times; i++)
    clearTimeout(setTimeout(late, delays[i & 4095]));
}
meter.report();
process.exit();
