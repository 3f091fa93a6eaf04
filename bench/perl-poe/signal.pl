# A session sends itself a signal that it watches.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use POE;

Meter::args(10000);
my $left;

POE::Session->create(
  inline_states => {
    _start => sub {
      $_[KERNEL]->sig('PULSE', 'pulse');
      $_[KERNEL]->yield('phase');
    },
    phase => sub {
      $left = Meter::phase();
      $_[KERNEL]->signal($_[SESSION], 'PULSE') if $left;
    },
    pulse => sub {
      if   (--$left > 0) { $_[KERNEL]->signal($_[SESSION], 'PULSE') }
      else               { $_[KERNEL]->yield('phase') }
    },
  },
);

POE::Kernel->run;
Meter::report();
