import { connect, type Socket } from "node:net";

/** What came of a conversation: everything the server said, and whether it ended it properly. */
export interface Conversation {
  readonly received: string;
  /** false: the connection was reset or broke off. */
  readonly ended: boolean;
}

/** Conversations with the tests' container app that last; each is begun before its function returns. */

/** A request whose answer takes `ms`. */
export async function slowRequest(port: number, ms: number): Promise<() => Promise<Conversation>> {
  const talk = await Talk.open(port);
  talk.send(`GET /slow?ms=${ms} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n`);
  return () => talk.ended();
}

/** An upload of `bytes` in pieces, a tenth every `everyMs`. */
export async function slowUpload(
  port: number,
  bytes: number,
  everyMs: number,
): Promise<() => Promise<Conversation>> {
  const talk = await Talk.open(port);
  talk.send(`POST /upload HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: ${bytes}\r\n\r\n`);
  const piece = "x".repeat(bytes / 10);
  const sending = (async () => {
    for (let sent = 0; sent < 10; sent++) {
      await Bun.sleep(everyMs);
      talk.send(piece);
    }
  })();
  return async () => {
    await sending;
    return talk.ended();
  };
}

/** An upgraded connection, as a websocket is: says a line, hears it back, until it says bye. */
export class EchoTalk {
  private constructor(private readonly talk: Talk) {}

  static async open(port: number): Promise<EchoTalk> {
    const talk = await Talk.open(port);
    talk.send("GET /echo HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n");
    await talk.heard("\r\n\r\n");
    return new EchoTalk(talk);
  }

  /** The version that answers. */
  async say(line: string): Promise<string> {
    this.talk.send(`${line}\n`);
    const heard = await this.talk.heard(` ${line}\n`);
    return heard.split("\n").at(-2)?.split(" ")[0] ?? "";
  }

  bye(): Promise<Conversation> {
    this.talk.send("bye\n");
    return this.talk.ended();
  }

  ended(): Promise<Conversation> {
    return this.talk.ended();
  }
}

/** Sends, closes its own side, and then hears ten lines, slowly. */
export async function halfClosed(port: number, bytes: number): Promise<() => Promise<Conversation>> {
  const talk = await Talk.open(port);
  talk.send("GET /half HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n");
  await talk.heard("\r\n\r\n");
  talk.finish("x".repeat(bytes));
  return () => talk.ended();
}

class Talk {
  #received = "";
  #waiting: (() => void)[] = [];
  #over: boolean | null = null;

  private constructor(private readonly socket: Socket) {
    socket.setEncoding("latin1");
    socket.on("data", (text) => {
      this.#received += text;
      this.#wake();
    });
    socket.on("end", () => this.#finish(true));
    socket.on("error", () => this.#finish(false));
    socket.on("close", () => this.#finish(false));
  }

  static open(port: number): Promise<Talk> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      socket.once("error", reject);
      socket.once("connect", () => resolve(new Talk(socket)));
    });
  }

  send(text: string): void {
    this.socket.write(text);
  }

  finish(text: string): void {
    this.socket.end(text);
  }

  async heard(text: string): Promise<string> {
    while (!this.#received.includes(text)) {
      if (this.#over !== null) throw new Error(`ended after ${JSON.stringify(this.#received)}`);
      await new Promise<void>((wake) => this.#waiting.push(wake));
    }
    return this.#received;
  }

  async ended(): Promise<Conversation> {
    while (this.#over === null) await new Promise<void>((wake) => this.#waiting.push(wake));
    return { received: this.#received, ended: this.#over };
  }

  #finish(ended: boolean): void {
    if (this.#over !== null) return;
    this.#over = ended;
    this.socket.destroy();
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
