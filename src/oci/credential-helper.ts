import { DewyError } from "../errors.ts";
import { type Call, withDeadline } from "../util/async.ts";
import { killGroup } from "../util/shell.ts";
import type { CredentialDeps } from "./credential.ts";
import type { RegistryCredentials } from "./image-source.ts";
import { readHelperAnswer } from "./wire.ts";

const deadlineMs = 30_000;
const maxAnswerBytes = 256 * 1024;
/** The protocol's words; helpers print them on stdout, some on stderr. */
const notFound = /credentials not found|no credentials server URL|no credentials username/i;

/** Of all the reader types, what is needed. */
interface OutputReader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
}

/**
 * Runs `docker-credential-<helper> get` with the server's name on stdin (docker/docker-credential-helpers).
 * null: it has none. Its output is never quoted: it may hold the secret.
 */
export async function askHelper(
  helper: string,
  server: string,
  configPath: string,
  deps: CredentialDeps,
  c: Call,
): Promise<RegistryCredentials | null> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(helper)) {
    throw new DewyError("config-invalid", `${configPath} names a credential helper that can be no program`, {
      hint: "credsStore and credHelpers take the part after docker-credential-",
    });
  }
  const program = `docker-credential-${helper}`;
  const path = Bun.which(program, { PATH: deps.env["PATH"] ?? "" });
  if (path === null) {
    throw new DewyError("config-invalid", `${program}, which ${configPath} names, is not installed`, {
      hint: "install it where PATH finds it, or take it out of the file",
    });
  }
  const { exitCode, stdout, stderr } = await run([path, "get"], server, program, deps, c);
  if (exitCode !== 0) {
    if (notFound.test(stdout) || notFound.test(stderr)) return null;
    throw failed(program, `exited with ${exitCode}`, server);
  }
  return loginOf(stdout, program, server);
}

function loginOf(stdout: string, program: string, server: string): RegistryCredentials | null {
  let answer: ReturnType<typeof readHelperAnswer>;
  try {
    answer = readHelperAnswer(JSON.parse(stdout));
  } catch {
    throw failed(program, "answered something that is no login", server);
  }
  if (answer.Secret === "") return null;
  if (answer.Username === "<token>") return { kind: "identity-token", token: answer.Secret };
  return { kind: "password", username: answer.Username, password: answer.Secret };
}

async function run(command: string[], input: string, program: string, deps: CredentialDeps, c: Call) {
  c.signal.throwIfAborted();
  const limited = withDeadline(c, deadlineMs);
  const child = Bun.spawn(command, {
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...deps.env },
    // A group of its own, so that what it started ends with it.
    detached: true,
  });
  const stop = () => {
    killGroup(child.pid);
    // Whoever left the group may hold the pipes open for ever.
    for (const reader of readers) void reader.cancel().catch(() => undefined);
  };
  const readers = [child.stdout.getReader(), child.stderr.getReader()];
  limited.signal.addEventListener("abort", stop, { once: true });
  try {
    const [stdout = "", stderr = ""] = await Promise.all(readers.map(readAll));
    const exitCode = await child.exited;
    if (c.signal.aborted) throw c.signal.reason;
    if (limited.signal.aborted) throw failed(program, `did not answer within ${deadlineMs / 1000}s`, input);
    return { exitCode, stdout, stderr };
  } finally {
    limited.signal.removeEventListener("abort", stop);
  }
}

async function readAll(reader: OutputReader): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done || value === undefined) return Buffer.concat(chunks).toString("utf8");
    size += value.length;
    // What comes beyond is read and dropped, so that the program can end.
    if (size <= maxAnswerBytes) chunks.push(value);
  }
}

function failed(program: string, why: string, server: string): DewyError {
  return new DewyError("unauthorized", `${program} ${why}`, {
    hint: `try it by hand, as the user dewy runs as: echo ${server} | ${program} get`,
    retryable: true,
  });
}
