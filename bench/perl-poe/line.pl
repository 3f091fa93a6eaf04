# Lines of 100 bytes from memory, in blocks of 64 KiB as a driver reads them:
# each block's lines in one go.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use POE::Filter::Line;

my ($n, $warm) = Meter::args(200000);
my $text = (('x' x 99) . "\n") x 16384;
my @blocks = unpack '(a65536)*', $text;

my $filter = POE::Filter::Line->new(Literal => "\n");

sub read_lines {
  my ($count) = @_;
  my ($got, $i) = (0, 0);
  while ($got < $count) {
    $got += @{ $filter->get([ $blocks[$i] ]) };
    $i = ($i + 1) % @blocks;
  }
  return $got;
}

read_lines($warm);
Meter::start();
Meter::stop(read_lines($n));
Meter::report();
