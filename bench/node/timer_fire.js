"use strict";
// Sets n timers with one integer, due within 100 ms, and lets them all fire.
const meter = require("../lib/meter.js");

const [n] = meter.args(200000);
const delays = meter.delays(0, 100);
let count = 0;

function due(_) {
  if (++count < n) return;
  meter.stop(n);
  meter.report();
}

meter.start();
for (let i = 0; i < n; i++) setTimeout(due, delays[i & 4095], i);
