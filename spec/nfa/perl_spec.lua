-- One machine in Perl and in Lua: POE::NFA and poe.nfa say the same of it.

local helper = require "spec.helper"

local PERL = [=[
use strict; use warnings;
use POE;
BEGIN { local $SIG{__WARN__} = sub {}; require POE::NFA; }
$| = 1;
sub text { join " ", map { defined $_ ? $_ : "nil" } @_ }
# Offsets of @_ as POE::NFA has them.
my ($MACHINE, $KERNEL, $EVENT, $STATE, $ARG0) = (1, 2, 4, 6, 10);
sub note { my ($f) = @_; sub {
  print text("$_[$STATE].$_[$EVENT]", @_[$ARG0..$#_]), "\n";
  return $f ? $f->($_[$MACHINE], $_[$KERNEL], @_[$ARG0..$#_]) : ();
} }
POE::Session->create(inline_states => {
  _start => sub {
    $_[KERNEL]->alias_set("parent");
    my $m = POE::NFA->spawn(inline_states => {
      one => {
        begin => note(sub { my ($m, $k) = @_;
          $k->yield("posted", 1);
          $m->goto_state("two", "begin", "x", undef, "y");
          $k->yield("posted", 2);
          print "still ", $m->get_current_state, "\n" }),
        posted => note(), leave => note(),
      },
      two => {
        begin => note(sub { my ($m, $k) = @_;
          $k->yield("unknown", "a");
          $m->call_state("back", "sub", "begin", 5) }),
        posted => note(), leave => note(),
        back => note(sub { my ($m) = @_; $m->goto_state("three", "begin") }),
        _default => sub { print "default $_[$ARG0] @{$_[$ARG0 + 1]}\n" },
      },
      sub => {
        begin => note(sub { my ($m) = @_; $m->call_state(undef, "deep", "begin") }),
        leave => note(), again => note(sub { my ($m) = @_; $m->return_state("r", undef) }),
      },
      deep => {
        begin => note(sub { my ($m, $k) = @_; $m->return_state("lost"); $k->yield("again") }),
        leave => note(),
      },
      three => {
        begin => note(sub { my ($m, $k) = @_;
          POE::Session->create(inline_states => {
            _start => sub { $_[KERNEL]->alias_set("child") },
            gained => sub { $_[KERNEL]->alias_remove("child") }, _stop => sub { print "child stops\n" } });
          $m->option(immediate => 1);
          $m->goto_state("four", "begin");
          print "now ", $m->get_current_state, "\n" }),
        leave => note(), _child => sub {},
      },
      four => {
        begin => note(sub { my ($m, $k) = @_;
          $k->delay(never => 1000); $m->stop; $k->yield("dropped") }),
        leave => note(), dropped => note(),
      },
    });
    print "in ", $m->get_current_state eq "(undef)" ? "nil" : "a state", "\n";
    $m->goto_state("one", "begin", 1, undef);
    print "in ", $m->get_current_state, "\n";
  },
  _child => sub { print "parent: $_[ARG0]\n";
    $_[KERNEL]->post("child", "gained") if $_[ARG0] eq "gain" },
  _stop => sub { print "parent stops\n" },
});
POE::Kernel->run;
]=]

local LUA = [=[
local NFA = require "poe.nfa"
local poe = require "poe"
local function text(...)
  local items = table.pack(...)
  for i = 1, items.n do items[i] = tostring(items[i]) end
  return table.concat(items, " ")
end
local function note(f)
  return function(kernel, _, ...)
    local m = kernel.session
    print(text(m:get_current_state() .. "." .. kernel.event, ...))
    if f then return f(m, kernel, ...) end
  end
end
poe.session.create { inline_states = {
  _start = function(kernel)
    kernel:alias_set "parent"
    local m = NFA.spawn { inline_states = {
      one = {
        begin = note(function(m, k)
          k:yield("posted", 1)
          m:goto_state("two", "begin", "x", nil, "y")
          k:yield("posted", 2)
          print("still " .. m:get_current_state())
        end),
        posted = note(), leave = note(),
      },
      two = {
        begin = note(function(m, k)
          k:yield("unknown", "a")
          m:call_state("back", "sub", "begin", 5)
        end),
        posted = note(), leave = note(),
        back = note(function(m) m:goto_state("three", "begin") end),
        _default = function(_, _, event, args)
          print("default " .. event .. " " .. args[1])
        end,
      },
      sub = {
        begin = note(function(m) m:call_state(nil, "deep", "begin") end),
        leave = note(), again = note(function(m) m:return_state("r", nil) end),
      },
      deep = {
        begin = note(function(m, k)
          m:return_state "lost"
          k:yield "again"
        end),
        leave = note(),
      },
      three = {
        begin = note(function(m)
          poe.session.create { inline_states = {
            _start = function(k) k:alias_set "child" end,
            gained = function(k) k:alias_remove "child" end,
            _stop = function() print "child stops" end } }
          m:option("immediate", true)
          m:goto_state("four", "begin")
          print("now " .. m:get_current_state())
        end),
        leave = note(), _child = function() end,
      },
      four = {
        begin = note(function(m, k)
          k:delay("never", 1000)
          m:stop()
          k:yield "dropped"
        end),
        leave = note(), dropped = note(),
      },
    } }
    print("in " .. (m:get_current_state() and "a state" or "nil"))
    m:goto_state("one", "begin", 1, nil)
    print("in " .. m:get_current_state())
  end,
  _child = function(kernel, _, what)
    print("parent: " .. what)
    if what == "gain" then kernel:post("child", "gained") end
  end,
  _stop = function() print "parent stops" end,
} }
poe.run()
]=]

local function run_perl(script)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(script)
  file:close()
  local pipe = assert(io.popen("perl " .. path .. " 2>&1"))
  local output = pipe:read "a"
  pipe:close()
  os.remove(path)
  return output
end

describe("A machine in two languages", function()
  it("does the same", function()
    local expected = run_perl(PERL)
    assert.matches("^parent: create\nin nil\n", expected)
    local status, output, err = helper.run_poe(LUA)
    assert.equal("", err)
    assert.equal(expected, output)
    assert.equal(0, status)
  end)
end)
