-- n children forked and reaped.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local poe = require "poe"

local n = meter.args(1000)
local reaped = 0

poe.session.create {
  inline_states = {
    _start = function(kernel)
      meter.start()
      for _ = 1, n do
        local pid = assert(kernel:fork())
        if pid == 0 then os.exit(0, false) end
        kernel:sig_child(pid, "reaped")
      end
    end,
    reaped = function()
      reaped = reaped + 1
      if reaped < n then return end
      meter.stop(n)
      meter.set("lost", n - reaped)
    end,
  },
}

poe.run()
meter.report()
