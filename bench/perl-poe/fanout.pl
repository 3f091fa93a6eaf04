# One session posts an integer to each of $size sessions, again and again.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use POE;

my (undef, undef, $size) = Meter::args(20000, 1000);
my ($left, @workers);

for my $i (1 .. $size) {
  push @workers, POE::Session->create(
    inline_states => {
      _start => sub { $_[KERNEL]->alias_set("worker$i") },
      work   => sub { $_[HEAP]{last} = $_[ARG0] },
    },
  )->ID;
}

POE::Session->create(
  inline_states => {
    _start => sub { $_[KERNEL]->yield('phase') },
    phase  => sub {
      $left = Meter::phase();
      $_[KERNEL]->yield('round') if $left;
    },
    round => sub {
      my $kernel = $_[KERNEL];
      $kernel->post($workers[ $_ - 1 ], 'work', $_) for 1 .. $size;
      $left -= $size;
      $kernel->yield($left > 0 ? 'round' : 'phase');
    },
  },
);

POE::Kernel->run;
Meter::report();
