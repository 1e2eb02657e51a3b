import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AgentStart, CommandHandlers } from "../../src/cli/dispatch.ts";
import type { AgentConfig } from "../../src/config/config.ts";
import { dewy } from "../cli/support.ts";
import { tempDir } from "../support/temp-dir.ts";

/** A directory with a configuration file, and dewy called in it. */
export class FileHost implements Disposable {
  readonly #dir = tempDir();
  env: Record<string, string> = {};
  checkUrls: CommandHandlers["checkUrls"] = () => [];

  constructor(text?: string) {
    if (text !== undefined) this.write("dewy.toml", text);
  }

  get root(): string {
    return this.#dir.path;
  }

  path(name: string): string {
    return join(this.root, name);
  }

  write(name: string, text: string | Uint8Array, mode = 0o600): string {
    const path = this.path(name);
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  }

  run(argv: readonly string[]) {
    return dewy(argv, { env: this.env, commands: { checkUrls: this.checkUrls } });
  }

  /** What an agent would be started with; throws with what was said when none is. */
  async start(...argv: readonly string[]): Promise<{ config: AgentConfig; start: AgentStart }> {
    let started: { config: AgentConfig; start: AgentStart } | null = null;
    const agent: CommandHandlers["agent"] = async (config, start) => {
      started = { config, start };
      return 0;
    };
    const { errors } = await dewy(this.#line(argv), {
      env: this.env,
      commands: { agent, checkUrls: this.checkUrls },
    });
    if (started === null) throw new Error(errors.join("\n"));
    return started;
  }

  /** What is said against it, without the file's place. */
  async errors(...argv: readonly string[]): Promise<string[]> {
    const { errors } = await this.run(this.#line(argv));
    return errors.map((line) => line.replaceAll(`${this.root}/`, ""));
  }

  #line(argv: readonly string[]): string[] {
    const [command = "server", ...rest] = argv;
    return [command, "--root", this.root, ...rest];
  }

  [Symbol.dispose](): void {
    this.#dir[Symbol.dispose]();
  }
}
