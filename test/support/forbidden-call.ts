/** A system call of 64-bit Linux, by the machine; `domain`: only for sockets of that family. */
export interface Forbidden {
  readonly call: "socket" | "sendto" | "recvfrom";
  readonly domain?: number;
  readonly errno: number;
}

const numbers = {
  x64: { socket: 41, sendto: 44, recvfrom: 45, prctl: 157 },
  arm64: { socket: 198, sendto: 206, recvfrom: 207, prctl: 167 },
};

/** The start of a command that runs under a seccomp filter (seccomp(2)), as sandboxes have it: the call fails there. */
export function withForbidden({ call, domain, errno }: Forbidden): string[] {
  const of = numbers[process.arch === "arm64" ? "arm64" : "x64"];
  // struct sock_filter (linux/filter.h): load a word of struct seccomp_data, jump if it is equal, return.
  const load = (offset: number) => [0x20, 0, 0, offset];
  const unlessEqual = (value: number, skip: number) => [0x15, 0, skip, value];
  const fail = [0x06, 0, 0, 0x0005_0000 | errno];
  const allow = [0x06, 0, 0, 0x7fff_0000];
  const filter =
    domain === undefined
      ? [load(0), unlessEqual(of[call], 1), fail, allow]
      : [load(0), unlessEqual(of[call], 3), load(16), unlessEqual(domain, 1), fail, allow];
  const script = `my $f = pack("(SCCL)*", ${filter.flat().join(",")});
my $p = pack("S x6 P", ${filter.length}, $f);
syscall(${of.prctl}, 38, 1, 0, 0, 0) == 0 && syscall(${of.prctl}, 22, 2, $p) == 0 or die $!;
exec @ARGV or die $!`;
  return ["perl", "-e", script];
}
