"use strict";
// A backlog of n calls by setImmediate with an integer, a string and an
// object: queue all, then make all. With "pause" as second argument, the
// longest gap in CPU time between two is taken too.
const meter = require("../lib/meter.js");

const [n] = meter.args(1000000);
const pause = process.argv[3] === "pause" ? meter.pause() : null;
const shared = {};
let count = 0;

function event(number, text, table) {
  if (pause) pause();
  if (++count < n) return;
  meter.stop(n);
  meter.set("kept", (meter.rss() - before) / n);
  meter.report();
}

const before = meter.rss();
meter.start();
for (let i = 0; i < n; i++) {
  setImmediate(event, i, "text", shared);
  if (pause) pause();
}
meter.set("bytes", (meter.rss() - before) / n);
