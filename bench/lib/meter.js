"use strict";
// The JavaScript twin of meter.lua: size arguments, CPU time, memory, result.
// CPU time is that of the whole process, the collector's and the compiler's
// threads included, because that is what a machine running it pays.

const fs = require("fs");

let started;
let planned;
const result = {};

function cpuNs() {
  const usage = process.cpuUsage();
  return (usage.user + usage.system) * 1000;
}

function statusKb(field) {
  const text = fs.readFileSync("/proc/self/status", "latin1");
  return Number(text.match(new RegExp(`^${field}:\\s*(\\d+)`, "m"))[1]);
}

exports.args = (fallback, size) => {
  const scale = Number(process.env.BENCH_SCALE || 1);
  const n = Number(process.argv[2]) ||
    Math.max(10, Math.floor(fallback * scale));
  const warm = Math.max(1, Math.floor(n / 10));
  planned = [warm, n];
  return [n, warm, Number(process.argv[3]) || size];
};

// First the operations to warm up with; then, the clock started, those to
// measure; then, it stopped, 0.
exports.phase = () => {
  if (planned.length === 0) {
    exports.stop(result.ops);
    return 0;
  }
  if (planned.length === 1) {
    result.ops = planned[0];
    exports.start();
  }
  return planned.shift();
};

// Longest CPU time between two calls.
exports.pause = () => {
  let last = cpuNs();
  let longest = 0;
  return () => {
    const now = cpuNs();
    if (now - last > longest) {
      longest = now - last;
      result.pause_ms = longest / 1e6;
    }
    last = now;
  };
};

exports.cpu = () => cpuNs() / 1e9;
exports.rss = () => statusKb("VmRSS") * 1024;
exports.start = () => { started = cpuNs(); };
exports.stop = (ops, key = "ns") => {
  result[key] = (cpuNs() - started) / ops;
  result.ops = ops;
};
exports.set = (key, value) => { result[key] = value; };

// 4,096 delays spread over [low, high), the same in every language.
exports.delays = (low, high) => {
  const delays = [];
  let seed = 42n;
  for (let i = 0; i < 4096; i++) {
    seed = (seed * 1103515245n + 12345n) & 0x7fffffffn;
    delays.push(low + (high - low) * Number(seed >> 8n) / 0x800000);
  }
  return delays;
};

exports.lateness = (list) => {
  list.sort((a, b) => a - b);
  result.median_us = list[Math.floor((list.length - 1) / 2)] * 1e6;
  result.p99_us = list[Math.floor(list.length * 99 / 100) - 1] * 1e6;
  result.early = list.filter((late) => late < 0).length;
};

exports.report = () => {
  result.rss_kb = statusKb("VmHWM");
  console.log(Object.keys(result).sort()
    .map((key) => `${key}=${result[key]}`).join(" "));
};
