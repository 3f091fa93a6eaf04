# A backlog of n events with an integer, a string and a hash: post all, then
# handle all. With "pause" as second argument, the longest gap in CPU time
# between two posts or two deliveries is taken too.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use POE;

my $wants_pause = ($ARGV[1] // '') eq 'pause';
my ($n) = Meter::args(100000);
my $pause = $wants_pause && Meter::pause();
my $shared = {};
my ($count, $before) = (0);

my $sink = POE::Session->create(
  inline_states => {
    _start => sub { $_[KERNEL]->alias_set('sink') },
    event  => sub {
      $pause->() if $pause;
      return if ++$count < $n;
      Meter::stop($n);
      $_[KERNEL]->delay('settle', 0.01);
    },
    settle => sub { Meter::set(kept => (Meter::rss() - $before) / $n) },
  },
)->ID;

POE::Session->create(
  inline_states => {
    _start => sub {
      my $kernel = $_[KERNEL];
      $before = Meter::rss();
      Meter::start();
      for my $i (1 .. $n) {
        $kernel->post($sink, 'event', $i, 'text', $shared);
        $pause->() if $pause;
      }
      Meter::set(bytes => (Meter::rss() - $before) / $n);
    },
  },
);

POE::Kernel->run;
Meter::report();
