# Two sessions send each other an integer and a string.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use POE;

Meter::args(20000);
my $left;

sub player {
  return POE::Session->create(
    inline_states => {
      _start => sub { $_[KERNEL]->alias_set($_[SESSION]->ID . 'player') },
      phase  => sub {
        my ($kernel, $heap, $peer) = @_[KERNEL, HEAP, ARG0];
        $heap->{peer} = $peer;
        $left = Meter::phase();
        $kernel->post($peer, 'ball', 1, 'text') if $left;
      },
      meet => sub { $_[HEAP]{peer} = $_[ARG0] },
      ball => sub {
        my ($kernel, $heap, $number, $text) = @_[KERNEL, HEAP, ARG0, ARG1];
        if (--$left > 0) {
          $kernel->post($heap->{peer}, 'ball', $number, $text);
        }
        else {
          $kernel->yield('phase', $heap->{peer});
        }
      },
    },
  );
}

my ($one, $other) = (player(), player());
POE::Kernel->post($one->ID,   'phase', $other->ID);
POE::Kernel->post($other->ID, 'meet',  $one->ID);

POE::Kernel->run;
Meter::report();
