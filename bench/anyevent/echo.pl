# A TCP echo server.
use strict;
use warnings;
use AnyEvent;
use AnyEvent::Handle;
use AnyEvent::Socket;

my %handles;

sub accepted {
  my ($fh) = @_;
  my $handle = AnyEvent::Handle->new(
    fh       => $fh,
    on_error => sub { delete $handles{ $_[0] } },
    on_eof   => sub { delete $handles{ $_[0] } },
    on_read  => sub { $_[0]->push_write(delete $_[0]{rbuf}) },
  );
  $handles{$handle} = $handle;
}

my $guard = tcp_server '127.0.0.1', 0, \&accepted, sub {
  my ($fh, $host, $port) = @_;
  $| = 1;
  AE::postpone { print "port=$port\n" };
  return 511;
};

AE::cv->recv;
