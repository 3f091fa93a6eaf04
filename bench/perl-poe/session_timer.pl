# n sessions, each with a waiting timer and a heap hash: create them, then
# tell each to remove its timer, which ends it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use POE;

my ($n) = Meter::args(10000);
my @ids;
my $before; # resident memory

sub on_start {
  my ($kernel, $heap) = @_[KERNEL, HEAP];
  $heap->{id} = $kernel->delay_set('late', 100);
}

sub on_bye {
  my ($kernel, $heap) = @_[KERNEL, HEAP];
  $kernel->alarm_remove($heap->{id});
}

POE::Session->create(
  inline_states => {
    _start => sub {
      $before = Meter::rss();
      Meter::start();
      for my $i (1 .. $n) {
        push @ids, POE::Session->create(
          inline_states => { _start => \&on_start, late => \&on_bye, bye => \&on_bye },
          heap          => { name   => "worker$i" },
        )->ID;
      }
      Meter::stop($n, 'create_ns');
      $_[KERNEL]->yield('stop_all');
    },
    stop_all => sub {
      my $kernel = $_[KERNEL];
      Meter::set(bytes => (Meter::rss() - $before) / $n);
      Meter::start();
      $kernel->post($_, 'bye') for @ids;
    },
    _stop => sub { Meter::stop($n, 'destroy_ns') },
  },
);

POE::Kernel->run;
Meter::report();
