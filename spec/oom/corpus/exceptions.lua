-- Errors in handlers, handled and not.

local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel)
      kernel:sig("DIE", "died")
      kernel:yield("fail", 1)
      kernel:yield("fail_with_table")
      kernel:call(kernel.session, "protected")
      poe.session.create {
        inline_states = {
          _start = function(k) k:yield("nothing") end,
          _stop = function() error("in _stop") end,
        },
      }
    end,
    fail = function(_, heap) heap.x.y = 1 end,
    fail_with_table = function() error { code = 7 } end,
    protected = function(kernel)
      pcall(kernel.call, kernel, kernel.session, "fail")
    end,
    died = function(kernel) kernel:sig_handled() end,
  },
}
poe.session.create { inline_states = {
  _start = function(kernel) kernel:delay("fail", 0.001) end,
  fail = function() error("not handled") end,
} }
pcall(poe.run)
