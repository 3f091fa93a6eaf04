-- poe.sys.resolve: names looked up off the loop.

local fixture = require "spec.sys.fixture"
local helper = require "spec.helper"
local poe = require "poe"
local sys = require "poe.sys"

local function lines_of(options)
  local found <close> = assert(sys.resolve(options))
  return fixture.read_all(found)
end

describe("resolve", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it("gives addresses of names and services", function()
    local text = lines_of { host = "localhost", service = "80" }
    assert.matches("^[%x.:]+ 80\n", text)
    assert.matches("\nend\n$", text)
  end)

  it("takes what is numeric", function()
    assert.equal("127.0.0.1 0\nend\n", lines_of { host = "127.0.0.1" })
    assert.equal("::1 7\nend\n", lines_of { host = "::1", service = "7",
      family = "inet6", type = "dgram" })
  end)

  it("tells why there is none", function()
    assert.matches("^error EAI_%u+ [^\n]+\nend\n$",
      lines_of { host = "127.0.0.1", family = "inet6" })
    assert.matches("^error EAI_%u+ [^\n]+\nend\n$",
      lines_of { host = "127.0.0.1", service = "no such service" })
  end)

  it("reports to a session, like any handle", function()
    local text = ""
    poe.session.create { inline_states = {
      _start = function(kernel, heap)
        heap.found = assert(sys.resolve { host = "127.0.0.1" })
        kernel:select_read(heap.found, "readable")
      end,
      readable = function(_, heap, found)
        local bytes = found:read()
        text = text .. bytes
        if bytes == "" then heap.found:close() end
      end,
    } }
    poe.run()
    assert.equal("127.0.0.1 0\nend\n", text)
  end)

  it("may be given up at any time", function()
    local before = fixture.count_fds()
    for _ = 1, 20 do
      local found <close> = assert(sys.resolve { host = "localhost" })
      assert.equal("fd", sys.type(found))
    end
    fixture.wait_until(function() return fixture.count_fds() == before end)
  end)

  it("may be under way when the program ends", function()
    helper.assert_prints("done", [[
      local sys = require "poe.sys"
      for _ = 1, 10 do sys.resolve { host = "localhost" } end
      print "done"
    ]])
    helper.assert_prints("done", [[
      local sys = require "poe.sys"
      for _ = 1, 10 do sys.resolve { host = "localhost" } end
      print "done"
    ]], { interpreter = "lua5.4" })
  end)

  it("raises for wrong use", function()
    local function refuses(message, options)
      assert.has_error(function() sys.resolve(options) end,
        "bad argument #1 to 'resolve' (" .. message .. ")")
    end
    refuses("host: string expected, got nil", {})
    refuses("unknown option 'port'", { host = "x", port = 1 })
    refuses("family: unknown family 'ipx'", { host = "x", family = "ipx" })
    refuses("type: unknown socket type 'raw'", { host = "x", type = "raw" })
    for _, service in ipairs { "65536", "65537", "-1", "+80", " 80",
      "99999999999999999999" } do
      refuses("service: '" .. service .. "' is not in 0..65535",
        { host = "127.0.0.1", service = service })
    end
  end)
end)
