# Moves one of $size waiting timers.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use POE;

my (undef, undef, $size) = Meter::args(20, 100000);
my @delays = Meter::delays(100, 200);

POE::Session->create(
  inline_states => {
    _start => sub {
      my $kernel = $_[KERNEL];
      my @ids = map { $kernel->delay_set('late', $delays[ $_ & 4095 ]) }
        1 .. $size;
      while (my $times = Meter::phase()) {
        for my $i (1 .. $times) {
          my $id = $ids[ $i * 7919 % $size ];
          $kernel->delay_adjust($id, $delays[ $i & 4095 ]);
        }
      }
      $kernel->stop;
    },
    late => sub { },
  },
);

POE::Kernel->run;
Meter::report();
