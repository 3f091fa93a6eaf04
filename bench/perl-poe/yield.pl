# One session that yields to itself.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use POE;

Meter::args(20000);
my $left;

POE::Session->create(
  inline_states => {
    _start => sub { $_[KERNEL]->yield('phase') },
    phase  => sub {
      $left = Meter::phase();
      $_[KERNEL]->yield('tick') if $left;
    },
    tick => sub {
      $_[KERNEL]->yield(--$left > 0 ? 'tick' : 'phase');
    },
  },
);

POE::Kernel->run;
Meter::report();
