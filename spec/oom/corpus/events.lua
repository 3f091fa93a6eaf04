-- Posts, yields and calls, with arguments of all kinds.

local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel)
      kernel:alias_set("me")
      for i = 1, 30 do
        kernel:yield("e", i, nil, "text" .. i, { i }, nil)
        kernel:post("me", "e", table.unpack({}, 1, i))
      end
      kernel:call("me", "e", "called")
      kernel:yield("last")
    end,
    e = function(_, heap, ...) heap.n = select("#", ...) end,
    last = function(kernel) kernel:alias_remove("me") end,
  },
}
poe.run()
