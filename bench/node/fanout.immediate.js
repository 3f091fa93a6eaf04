"use strict";
// One function queues a call for each of `size` objects with
// setImmediate, again and again.
const meter = require("../lib/meter.js");

const [, , size] = meter.args(2000000, 1000);
let left;

class Worker {
  work(value) { this.last = value; }
}

const workers = Array.from({ length: size }, () => new Worker());

function round() {
  for (let i = 0; i < size; i++) {
    const worker = workers[i];
    setImmediate(() => worker.work(i));
  }
  left -= size;
  setImmediate(left > 0 ? round : phase);
}

function phase() {
  left = meter.phase();
  if (left) setImmediate(round);
  else meter.report();
}

phase();
