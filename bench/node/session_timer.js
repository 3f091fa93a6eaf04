"use strict";
// n event emitters, each with a waiting timer and a state object: create them,
// then tell each by setImmediate to clear its timer.
const EventEmitter = require("events");
const meter = require("../lib/meter.js");

const [n] = meter.args(100000);
const sessions = [];

class Session extends EventEmitter {
  constructor(state) {
    super();
    this.state = state;
    this.on("bye", this.bye);
    this.timer = setTimeout(() => this.bye(), 100000);
  }

  bye() {
    clearTimeout(this.timer);
    this.removeAllListeners();
  }
}

const before = meter.rss();
meter.start();
for (let i = 0; i < n; i++) sessions.push(new Session({ name: `worker${i}` }));
meter.stop(n, "create_ns");
meter.set("bytes", (meter.rss() - before) / n);
meter.start();
for (let i = 0; i < n; i++)
  setImmediate((session) => session.emit("bye"), sessions[i]);
setImmediate(() => {
  meter.stop(n, "destroy_ns");
  meter.report();
});
