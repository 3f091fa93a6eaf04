"use strict";
// One function queues a call for each of `size` objects with
// process.nextTick, again and again.
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
    process.nextTick(() => worker.work(i));
  }
  left -= size;
  process.nextTick(left > 0 ? round : phase);
}

function phase() {
  left = meter.phase();
  if (left) process.nextTick(round);
  else meter.report();
}

phase();
