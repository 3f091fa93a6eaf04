#!poe -i <
-- What is typed at the prompt, by a file.
= 1 + 2
x = { 3, 4 }
x[1], x[2], nil
for i = 1, 2 do
  print(i)
end
poe = require "poe"
poe.session.create { inline_states = { _start = function(k) k:yield "a" end, a = function() print "a" end } }
error "oops"
error {}
y y
print(#x)
