# Hashes, sorts, regular expressions, closures, strings that grow, data structures that are torn down.
use strict;
use warnings;

my %count;
$count{ ($_ * 7919) % 10007 }++ for 1 .. 200_000;
my @top = (sort { $count{$b} <=> $count{$a} || $a <=> $b } keys %count)[0 .. 4];
print "top: @top of ", scalar(keys %count), "\n";

my $text = join ' ', map { "word$_" } 1 .. 50_000;
my $changed = ($text =~ s/word(\d)(\d*)/$2$1/g);
print "substituted: $changed ", length($text), " ", unpack('%32C*', $text), "\n";

my @closures = map { my $n = $_; sub { $n * $_[0] } } 1 .. 10_000;
my $sum = 0;
$sum += $_->(3) for @closures;
print "closures: $sum\n";

sub tree { my $depth = shift; $depth ? { left => tree($depth - 1), right => tree($depth - 1) } : { leaf => 1 } }
sub leaves { my $node = shift; $node->{leaf} // leaves($node->{left}) + leaves($node->{right}) }
print "leaves: ", leaves(tree(14)), "\n" for 1 .. 3;

my $packed = pack 'N*', map { ($_ * 2654435761) % 4294967296 } 1 .. 100_000;
print "packed: ", length($packed), " ", unpack('%32N*', $packed), "\n";

my $grown = '';
$grown .= chr(65 + $_ % 26) x ($_ % 50) for 1 .. 20_000;
print "grown: ", length($grown), " ", substr($grown, 12_345, 20), "\n";

for my $round (1 .. 5) {
  defined(my $child = fork) or die;
  if ($child == 0) { my @list = map { "x" x $_ } 1 .. 2000; exit scalar(@list) % 256 }
  waitpid $child, 0;
  print "child $round: ", $? >> 8, "\n";
}
