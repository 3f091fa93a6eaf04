# POE with the differences that we chose (semantics.md, section L) built in:
# an executable form of that section, independent of our kernel, for
# run_poe.pl --amend. Each amendment is an edit of POE's source while it is
# loaded; an edit that does not fit exactly once stops the run.
#
# Where the section leaves a choice, the comment says which one is meant.
use strict;
use warnings;

my %edits = (
  'POE/Resource/Sessions.pm' => [
    # W5: a session that came back to life during the sweep stays.
    [ 'next unless delete $temp_marked{$sid};' =>
      'next unless delete $temp_marked{$sid};
       next if !$kr_sessions{$sid} || $kr_sessions{$sid}[SS_REFCOUNT] > 0;' ],
    # W6: a session is "stopping" from its first _child(gain) to its last
    # _child(lose); what would hold it meanwhile is refused with ESRCH.
    [ 'my %already_stopping;' =>
      'our (%already_stopping, %stop_error, $stop_exception);
       sub _amend_stopping { exists $already_stopping{$_[1]->ID} }' ],
    # W14: after the failed session is gone, DIE goes to its parent and the
    # parent's ancestors; nobody handles it: when the event or the sweep is
    # over all stop, and run() dies of it. No call() throws it meanwhile.
    [ 'delete $already_stopping{$sid};
}' => 'delete $already_stopping{$sid};
       if (my $ex = delete $stop_error{$sid}) {
         $self->_amend_die_upwards($parent, $ex) }
     }
     sub _amend_die_upwards { my ($self, $session, $ex) = @_;
       my $before = $POE::Kernel::kr_exception;
       undef $POE::Kernel::kr_exception;
       local @POE::Kernel::kr_signaled_sessions;
       local $POE::Kernel::kr_signal_total_handled;
       local $POE::Kernel::kr_signal_type;
       $self->_data_sig_reset_handled("DIE");
       my @chain;
       while (defined $session and $session != $self) {
         push @chain, $session;
         $session = $self->_data_ses_get_parent($session->ID) }
       my %watch = $self->_data_sig_explicitly_watched("DIE")
         ? $self->_data_sig_watchers("DIE") : ();
       for my $s (@chain) {
         $self->_data_sig_touched_session($s);
         my $w = $watch{$s->ID} or next;
         $self->_dispatch_event($s, $self, $w->[0],
           ET_SIGNAL_RECURSIVE | ET_SIGDIE, ["DIE", $ex, @{ $w->[1] }],
           __FILE__, __LINE__, undef, monotime(), -__LINE__) }
       my ($handled) = $self->_data_sig_handled_status;
       $self->_data_sig_free_terminated_sessions;
       my $during = $POE::Kernel::kr_exception;
       $POE::Kernel::kr_exception = $before;
       _amend_park(join_errors($handled ? undef : $ex->{error_str}, $during));
     }
     sub join_errors {
       my @errors = grep defined, @_ or return undef;
       return join "Additional error thrown in handler for previous error:\n",
         @errors }
     sub _amend_park {
       $stop_exception = join_errors($stop_exception, @_) }
     sub _amend_stop_on_exception {
       our $kr_exception;
       $kr_exception = join_errors($kr_exception, $stop_exception);
       undef $stop_exception;
       POE::Kernel->stop if $kr_exception;
     }' ],
    # A parent that stop() ended meanwhile hears no more of its child.
    [ 'if (defined $parent) {
    $self->_dispatch_event(
      $parent, $self,
      EN_CHILD, ET_CHILD, [ CHILD_LOSE' =>
      'if (defined $parent and exists $kr_sessions{$parent->ID}) {
    $self->_dispatch_event(
      $parent, $self,
      EN_CHILD, ET_CHILD, [ CHILD_LOSE' ],
    [ 'return if exists $already_stopping{$sid};' =>
      'return if exists $already_stopping{$sid} or !exists $kr_sessions{$sid};' ],
  ],
  'POE/Resource/Events.pm' => [
    [ 'my $sid = $session->ID;

  if (ASSERT_DATA)' => 'my $sid = $session->ID;
  if ($self->_amend_stopping($session)) { $! = ESRCH; return undef }

  if (ASSERT_DATA)' ],
    # W6: what a session sent before it was stopped arrives; only stop()
    # empties the queue.
    [ 'last SENT unless $sent_count;

    foreach' => 'last SENT unless $sent_count;
    if (!$POE::Kernel::amend_in_stop) {
      delete $post_count{$sid};
      last SENT }

    foreach' ],
    [ 'my $now = monotime();
  my $next_time;' => '_amend_stop_on_exception();
     my $now = monotime();
  my $next_time;' ],
    [ 'next unless $POE::Kernel::kr_exception;
    POE::Kernel->stop();' => '_amend_stop_on_exception();' ],
    [ '$self->_data_ses_gc_sweep();
  $next_time =' => '$self->_data_ses_gc_sweep();
  _amend_stop_on_exception();
  $next_time =' ],
    [ '$self->_data_ses_refcount_dec($source_id) unless --$post_count{$source_id};' =>
      'return unless exists $post_count{$source_id};
       $self->_data_ses_refcount_dec($source_id) unless --$post_count{$source_id};' ],
  ],
  'POE/Kernel.pm' => [
    # W6 and W7 as far as the public methods go.
    [ '$session, $kr_active_session, $event_name, ET_POST, \@etc,
    (caller)[1,2], $kr_active_event
  );
  return 1;' => '$session, $kr_active_session, $event_name, ET_POST, \@etc,
    (caller)[1,2], $kr_active_event
  ) or return;
  return 1;' ],
    [ 'EN_SIGNAL, ET_SIGNAL, [ $signal, @etc ],
    (caller)[1,2], $kr_active_event
  );' => 'EN_SIGNAL, ET_SIGNAL, [ $signal, @etc ],
    (caller)[1,2], $kr_active_event
  ) or return;' ],
    [ 'if (defined $event_name) {
    $self->_data_sig_add' => 'if (defined $event_name) {
    return if $self->_amend_stopping($kr_active_session);
    $self->_data_sig_add' ],
    [ 'if ($event_name) {
    $self->_data_handle_add' => 'if ($event_name) {
    return if $self->_amend_stopping($session);
    $self->_data_handle_add' ],
    [ 'return EEXIST;
    }
    return 0;' => 'return EEXIST;
    }
    return $self->_amend_stopping($kr_active_session) ? ESRCH : 0;' ],
    [ '$self->_data_alias_add($kr_active_session, $name);' =>
      'return ESRCH if $self->_amend_stopping($kr_active_session);
       $self->_data_alias_add($kr_active_session, $name);' ],
    [ 'my $refcount = $self->_data_extref_inc($session_id, $tag);' =>
      'if (exists $POE::Kernel::already_stopping{$session_id}) {
         $! = ESRCH; return }
       my $refcount = $self->_data_extref_inc($session_id, $tag);' ],
    [ '$self->_data_ses_allocate($session, $new_sid, $kr_active_session->ID);' =>
      'my $amend_parent = $kr_active_session;
       while ($self->_amend_stopping($amend_parent)) {
         $amend_parent = $self->_data_ses_get_parent($amend_parent->ID) }
       $self->_data_ses_allocate($session, $new_sid, $amend_parent->ID);' ],
    # W14, more generally: an exception that waits for the end of the run is
    # not thrown out of a call() made meanwhile, in a _stop for instance.
    [ 'sub call {' => 'sub call {
       my $parked = $kr_exception;
       undef $kr_exception;
       my $value;
       my $ok = eval { $value = &_amend_call; 1 };
       my $error = $@;
       $kr_exception = $parked;
       die $error unless $ok;
       return $value }
     sub _amend_call {' ],
    # ... and nothing runs after it.
    [ 'sub _test_if_kernel_is_idle {
  my $self = shift;' => 'sub _test_if_kernel_is_idle {
  my $self = shift;
  _amend_stop_on_exception();' ],
    [ 'sub stop {' => 'our $amend_in_stop;
     sub stop {
       local $amend_in_stop = 1;' ],
    # 103: pausing is the watcher's own business.
    (map { my ($verb, $what, $mode) = @$_;
      [ "return 0 unless \$self->_data_handle_is_good(\$handle, $mode);

  \$self->_data_handle_$verb" =>
        "return 0 unless \$self->_data_handle_is_good(\$handle, $mode);
         return 0 unless \$self->_amend_watches(\$handle, $mode, \$kr_active_session->ID);
  \$self->_data_handle_$verb" ] }
      [ 'pause', 'write', 'MODE_WR' ], [ 'resume', 'write', 'MODE_WR' ],
      [ 'pause', 'read', 'MODE_RD' ], [ 'resume', 'read', 'MODE_RD' ]),
    # The same with exceptions off: a call() throws what the called handler
    # threw, the rest waits.
    [ 'else {
      $kr_exception = $@;
    }' => 'elsif ($type & ET_CALL) { $kr_exception = $@ }
    else { _amend_park($@) }' ],
    # 68: sig_handled() in a _stop comes too late for the signal that stops.
    [ '$self->_data_sig_free_terminated_sessions();


  my $handled_session_count = (_data_sig_handled_status())[0];' =>
      'my $handled_session_count = (_data_sig_handled_status())[0];
  $self->_data_sig_free_terminated_sessions();' ],
    # After stop() the kernel is the active session in outer handlers too.
    [ '($kr_active_session, $kr_active_event, $kr_active_event_type) = (
    $hold_active_session, $hold_active_event, $hold_active_event_type
  );' => '($kr_active_session, $kr_active_event, $kr_active_event_type) = (
    $hold_active_session, $hold_active_event, $hold_active_event_type
  );
  ($kr_active_session, $kr_active_event, $kr_active_event_type) = ($self, "", 0)
    unless $POE::Kernel::amend_in_stop
      or $self->_data_ses_exists($kr_active_session->ID);' ],
    # W14: an error in _stop waits for the end of that stop.
    [ 'if ($type & (ET_STOP | ET_SIGDIE) or $kr_active_session eq $self) {' =>
      'if ($type & ET_STOP and $kr_active_session ne $self) {
         $POE::Kernel::stop_error{$session->ID} = {
           source_session => $source_session, dest_session => $session,
           event => $event, file => $file, line => $line,
           from_state => $fromstate, error_str => $@ };
       }
       elsif ($type & ET_SIGDIE or $kr_active_session eq $self) {' ],
  ],
  'POE/Resource/FileHandles.pm' => [
    # W17: watching again replaces event and arguments.
    [ 'if (exists $kr_fno_rec->[FMO_SESSIONS]->{$sid}->{$fd}) {' =>
      'if (exists $kr_fno_rec->[FMO_SESSIONS]->{$sid}->{$fd}) {
       @{ $kr_fno_rec->[FMO_SESSIONS]->{$sid}->{$fd} }[HSS_STATE, HSS_ARGS]
         = ($event, $args);' ],
    [ 'sub _data_handle_is_good {' =>
      'sub _amend_watches { my ($self, $handle, $mode, $sid) = @_;
         return exists $kr_filenos{fileno $handle}[$mode][FMO_SESSIONS]{$sid}{fileno $handle} }
       sub _data_handle_is_good {' ],
  ],
  'POE/Session.pm' => [
    # W6: nor can one be made that would hold a session that is stopping.
    (map { my $kind = $_;
      [ "sub $kind {\n  my (\$self, \$event, \@etc) = \@_;" =>
        "sub $kind {\n  my (\$self, \$event, \@etc) = \@_;
         return undef if POE::Kernel->_amend_stopping(\$self);" ] }
      'postback', 'callback'),
    # W16: a postback whose session is gone says so.
    [ '$POE::Kernel::poe_kernel->post( $id, $event, [ @etc ], [ @_ ] );
    return 0;' =>
      'return $POE::Kernel::poe_kernel->post( $id, $event, [ @etc ], [ @_ ] ) ? 0 : \"ESRCH";' ],
  ],
);

# The comments of POE's source are ignored when an edit looks for its place.
sub edited { my ($name, $text) = @_;
  for my $edit (@{ $edits{$name} }) {
    my ($old, $new) = @$edit;
    my $pattern = join '(?:\s|^\s*#.*\n)*', map quotemeta, $old =~ /\S+/g;
    my $n = () = $text =~ /$pattern/mg;
    die "$name: edit fits $n times: $old\n" unless $n == 1;
    $text =~ s/$pattern/$new/m;
  }
  return $text }

unshift @INC, sub { my (undef, $name) = @_;
  return unless $edits{$name};
  my ($file) = grep -f, map "$_/$name", grep !ref, @INC;
  open my $fh, '<', $file or die "$file: $!\n";
  local $/;
  my $text = edited($name, scalar <$fh>);
  open my $source, '<', \$text or die $!;
  return $source };

1;
