/** Listens, IPv4 callers included where it listens on `::`; does as each line of its input says. */
const acceptor = `use strict; use IO::Socket::IP; $| = 1;
my $s = IO::Socket::IP->new(LocalHost => $ARGV[0], LocalPort => 0, Listen => 16, V6Only => 0) or die $@;
print $s->sockport, "\\n";
my $k;
while (my $told = <STDIN>) {
  if ($told eq "accept\\n") { $k = $s->accept or die $! } else { close $k }
  print $told;
}`;

export interface ToldAcceptor extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
  /** The next connection of its backlog. */
  accept(): Promise<void>;
  /** The one it accepted. */
  close(): Promise<void>;
  /** With all its sockets. */
  end(): Promise<void>;
}

/** A process that has callers wait until it is told to accept one. */
export async function startToldAcceptor(host: string): Promise<ToldAcceptor> {
  const child = Bun.spawn(["perl", "-e", acceptor, host], { stdin: "pipe", stdout: "pipe" });
  const lines = linesOf(child.stdout);
  const tell = async (what: string) => {
    child.stdin.write(`${what}\n`);
    await child.stdin.flush();
    const { value } = await lines.next();
    if (value !== what) throw new Error(`told to ${what}, it said ${value}`);
  };
  const end = async () => {
    child.kill("SIGKILL");
    await child.exited;
  };
  return {
    pid: child.pid,
    port: Number((await lines.next()).value),
    accept: () => tell("accept"),
    close: () => tell("close"),
    end,
    [Symbol.asyncDispose]: end,
  };
}

/** A connection, and this side's end of it. */
export async function connectTo(hostname: string, port: number) {
  const socket = await Bun.connect({ hostname, port, socket: { data() {} } });
  const end = () => socket.terminate();
  return { local: { host: socket.localAddress, port: socket.localPort }, end, [Symbol.dispose]: end };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let text = "";
  for await (const bytes of stream) {
    text += new TextDecoder().decode(bytes);
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    yield* lines;
  }
}
