# Sets a timer and removes it, while $size others wait.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use POE;

my (undef, undef, $size) = Meter::args(10000, 100000);
my @delays = Meter::delays(100, 200);

POE::Session->create(
  inline_states => {
    _start => sub {
      my $kernel = $_[KERNEL];
      my $before = Meter::rss();
      $kernel->delay_set('late', $delays[ $_ & 4095 ]) for 1 .. $size;
      Meter::set(bytes => (Meter::rss() - $before) / $size);
      while (my $times = Meter::phase()) {
        for my $i (1 .. $times) {
          my $id = $kernel->delay_set('late', $delays[ $i & 4095 ]);
          $kernel->alarm_remove($id);
        }
      }
      $kernel->stop;
    },
    late => sub { },
  },
);

POE::Kernel->run;
Meter::report();
