import type { Subprocess } from "bun";
import { until } from "./until.ts";

/** Receives datagrams at a unix socket and prints each as a line of JSON; Bun has no such sockets. */
const program = `
import json, socket, sys
name = sys.argv[1]
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind("\\0" + name[1:] if name.startswith("@") else name)
print(json.dumps("bound"), flush=True)
while True:
    print(json.dumps(receiver.recv(65536).decode()), flush=True)
`;

/** What a service manager hears on NOTIFY_SOCKET (sd_notify(3)). */
export class NotifyListener implements AsyncDisposable {
  /** Each datagram's assignments, in the order they came. */
  readonly heard: (readonly string[])[] = [];
  readonly #child: Subprocess<"ignore", "pipe", "inherit">;
  #isBound = false;

  private constructor(readonly name: string) {
    this.#child = Bun.spawn(["python3", "-c", program, name], { stdio: ["ignore", "pipe", "inherit"] });
    void this.#read();
  }

  /** `name`: a path, or with `@` before it an abstract one. */
  static async bind(name: string): Promise<NotifyListener> {
    const listener = new NotifyListener(name);
    await until("the socket is bound", () => listener.#isBound);
    return listener;
  }

  /** All assignments, in the order they came. */
  get assignments(): readonly string[] {
    return this.heard.flat();
  }

  hears(assignment: string): Promise<unknown> {
    return until(assignment, () => this.assignments.includes(assignment));
  }

  /** Takes nothing any more. */
  hang(): void {
    this.#child.kill("SIGSTOP");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async #read(): Promise<void> {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#take(JSON.parse(line));
    }
  }

  #take(datagram: string): void {
    if (this.#isBound) this.heard.push(datagram.split("\n"));
    this.#isBound = true;
  }
}
