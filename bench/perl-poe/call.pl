# One session calls another, with an integer, and gets one back.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use POE;

Meter::args(50000);

my $adder = POE::Session->create(
  inline_states => {
    _start => sub { $_[KERNEL]->alias_set('adder') },
    add    => sub { return $_[ARG0] + 1 },
  },
)->ID;

POE::Session->create(
  inline_states => {
    _start => sub {
      my $kernel = $_[KERNEL];
      my $value  = 0;
      while (my $times = Meter::phase()) {
        $value = $kernel->call($adder, 'add', $value) for 1 .. $times;
      }
    },
  },
);

POE::Kernel->run;
Meter::report();
