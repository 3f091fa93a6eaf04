# A TCP echo server with the component.
use strict;
use warnings;
use POE qw(Component::Server::TCP Filter::Stream);
use Socket qw(unpack_sockaddr_in);

POE::Component::Server::TCP->new(
  Address      => '127.0.0.1',
  Port         => 0,
  Concurrency  => -1,
  ClientFilter => 'POE::Filter::Stream',
  ClientInput  => sub { $_[HEAP]{client}->put($_[ARG0]) },
  Started      => sub {
    my ($port) = unpack_sockaddr_in($_[HEAP]{listener}->getsockname);
    $| = 1;
    print "port=$port\n";
  },
);

POE::Kernel->run;
