"use strict";
// n event emitters, each registered by name with a state object: create them,
// then tell each by setImmediate to leave the register.
const EventEmitter = require("events");
const meter = require("../lib/meter.js");

const [n] = meter.args(100000);
const sessions = [];
const byName = new Map();

class Session extends EventEmitter {
  constructor(state) {
    super();
    this.state = state;
    this.on("bye", this.bye);
    byName.set(state.name, this);
  }

  bye() {
    byName.delete(this.state.name);
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
