# A backlog of n postponed calls with an integer, a string and a hash. With
# "pause" as second argument, the longest gap in CPU time between two is taken
# too.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use AnyEvent;

my $wants_pause = ($ARGV[1] // '') eq 'pause';
my ($n) = Meter::args(100000);
my $pause  = $wants_pause && Meter::pause();
my $shared = {};
my $count  = 0;
my $done   = AE::cv;

sub event {
  my ($number, $text, $table) = @_;
  $pause->() if $pause;
  $done->send if ++$count == $n;
}

my $before = Meter::rss();
Meter::start();
for my $i (1 .. $n) {
  AE::postpone { event($i, 'text', $shared) };
  $pause->() if $pause;
}
Meter::set(bytes => (Meter::rss() - $before) / $n);
$done->recv;
Meter::stop($n);
Meter::set(kept => (Meter::rss() - $before) / $n);
Meter::report();
