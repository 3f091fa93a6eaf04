"use strict";
// How late one timer at a time comes, of 1 to 20 ms, in Node's whole ms.
const meter = require("../lib/meter.js");

const [n] = meter.args(200);
const delays = meter.delays(0.001, 0.02);
const late = [];

function set() {
  const delay = delays[late.length];
  const due = performance.now() / 1e3 + delay;
  setTimeout(() => {
    late.push(performance.now() / 1e3 - due);
    if (late.length < n) return set();
    meter.lateness(late);
    meter.report();
  }, Math.ceil(delay * 1e3));
}

set();
