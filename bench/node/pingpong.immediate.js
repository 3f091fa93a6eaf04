"use strict";
// Two objects send each other an integer and a string with
// setImmediate.
const meter = require("../lib/meter.js");

meter.args(2000000);
let left;

class Player {
  ball(number, text) {
    const peer = this.peer;
    if (--left > 0) setImmediate(() => peer.ball(number, text));
    else setImmediate(() => this.phase());
  }

  phase() {
    left = meter.phase();
    if (!left) return meter.report();
    setImmediate(() => this.peer.ball(1, "text"));
  }
}

const one = new Player();
const other = new Player();
one.peer = other;
other.peer = one;
one.phase();
