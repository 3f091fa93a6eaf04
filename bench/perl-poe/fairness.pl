# The echo server, with a session that yields for ever beside it.
use strict;
use warnings;
use FindBin;
use POE;

POE::Session->create(
  inline_states => {
    _start => sub { $_[KERNEL]->yield('spin') },
    spin   => sub { $_[KERNEL]->yield('spin') },
  },
);

do "$FindBin::Bin/echo.pl" or die $@;
