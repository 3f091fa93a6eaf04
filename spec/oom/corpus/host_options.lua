#!poe -l os -e print(os~=nil) -v
-- Options before the script.
print(...)
