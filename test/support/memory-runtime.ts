import type {
  Container,
  ContainerRuntime,
  ContainerSpec,
  Image,
  PullRequest,
  RuntimeInfo,
} from "../../src/container/runtime.ts";
import { containerWords } from "../../src/container/words.ts";
import { DewyError } from "../../src/errors.ts";
import type { InstanceEvent } from "../../src/replicas/engine.ts";
import type { Call } from "../../src/util/async.ts";
import { type Behaviour, FakeApp } from "./fake-app.ts";
import { newContainer, newImage } from "./memory-container.ts";

type Operation = keyof Omit<ContainerRuntime, typeof Symbol.asyncDispose | "words" | "listening">;

interface Fault {
  readonly operation: Operation;
  /** So many calls of the operation go well before. */
  after: number;
  readonly error: Error;
  /** The engine does what it is asked and the answer is lost. */
  readonly isAnswerLost: boolean;
}

interface Entry {
  container: Container;
  app: FakeApp | null;
  readonly ports: readonly number[];
}

/** An engine in the test's own process. The containers' ports are real listening sockets. */
export class MemoryRuntime implements ContainerRuntime {
  readonly words = containerWords;
  readonly #images = new Map<string, { image: Image; behaviour: Behaviour }>();
  readonly #entries = new Map<string, Entry>();
  readonly #watchers = new Set<{ onEvent: (event: InstanceEvent) => void; end: () => void }>();
  readonly #faults: Fault[] = [];
  #isDown = false;
  #number = 0;
  /** Every call that came in, `create`, `start`, … */
  readonly calls: Operation[] = [];
  /** Runs before a call is answered; what it throws is the answer. */
  onCall: (operation: Operation) => void | Promise<void> = () => undefined;

  /** While it is down nothing answers and event streams end; containers run on. */
  set isDown(isDown: boolean) {
    this.#isDown = isDown;
    if (isDown) for (const watcher of this.#watchers) watcher.end();
  }

  get containers(): readonly Container[] {
    return [...this.#entries.values()].map(({ container }) => container);
  }

  addImage(reference: string, behaviour: Behaviour = "serve", fields: Partial<Image> = {}): Image {
    const image = newImage(reference, fields);
    this.#images.set(reference, { image, behaviour });
    return image;
  }

  fail(operation: Operation, error: Error, options: { after?: number; isAnswerLost?: boolean } = {}): void {
    const { after = 0, isAnswerLost = false } = options;
    this.#faults.push({ operation, after, error, isAnswerLost });
  }

  /** From now on the container's app behaves so. */
  behave(id: string, behaviour: Behaviour): void {
    this.#entry(id).app?.become(behaviour);
  }

  /** Its main process ends. */
  die(id: string, exitCode = 137): void {
    const entry = this.#entry(id);
    entry.app?.stop();
    entry.app = null;
    entry.container = { ...entry.container, status: "exited", exitCode, pid: null, ports: [] };
    this.#tell(id, "die");
  }

  pause(id: string): void {
    this.#set(id, { status: "paused" });
    this.#tell(id, "pause");
  }

  set(id: string, fields: Partial<Container>): void {
    this.#set(id, fields);
    this.#tell(id, "health_status");
  }

  /** As `--restart` does: the engine starts it anew, on other host ports. */
  restartByEngine(id: string): void {
    const { container } = this.#entry(id);
    this.die(id);
    this.#run(id);
    this.#set(id, { restartCount: container.restartCount + 1 });
    this.#tell(id, "start");
  }

  async removeByHand(id: string): Promise<void> {
    this.#take(id);
  }

  async info(c: Call): Promise<RuntimeInfo> {
    return await this.#answer("info", c, () => ({
      name: "docker",
      version: "20.10",
      apiVersion: "1.41",
      rootless: false,
    }));
  }

  async pull({ repository, tag, onProgress }: PullRequest, c: Call): Promise<Image> {
    onProgress?.({ layers: 1, layersDone: 0, bytes: 512 });
    return await this.#answer("pull", c, () => this.#image(`${repository}:${tag}`).image);
  }

  async image(reference: string, c: Call): Promise<Image | null> {
    return await this.#answer("image", c, () => this.#images.get(reference)?.image ?? null);
  }

  async images(_: string, c: Call): Promise<readonly Image[]> {
    return await this.#answer("images", c, () => [...this.#images.values()].map(({ image }) => image));
  }

  async removeImage(reference: string, c: Call): Promise<"removed" | "in-use" | "absent"> {
    return await this.#answer("removeImage", c, () => {
      const image = this.#images.get(reference)?.image;
      if (image === undefined) return "absent";
      if (this.containers.some(({ imageId }) => imageId === image.id)) return "in-use";
      this.#images.delete(reference);
      return "removed";
    });
  }

  async create(spec: ContainerSpec, c: Call): Promise<string> {
    return await this.#answer("create", c, () => {
      const { image } = this.#image(spec.body.Image);
      const holder = this.containers.find(({ name }) => name === spec.name);
      if (holder !== undefined) {
        throw new DewyError("engine-failed", `Conflict. The name "${spec.name}" is in use by ${holder.id}`);
      }
      const id = `c${++this.#number}`;
      const ports = Object.keys(spec.body.HostConfig?.PortBindings ?? {}).map((name) =>
        Number.parseInt(name, 10),
      );
      this.#entries.set(id, { container: newContainer(id, spec, image), app: null, ports });
      this.#tell(id, "create");
      return id;
    });
  }

  async start(id: string, c: Call): Promise<void> {
    await this.#answer("start", c, () => {
      if (this.#image(this.#entry(id).container.image).behaviour === "missing") {
        this.#set(id, { exitCode: 127, error: "no such file" });
        throw new DewyError("start-failed", 'exec: "/app": no such file or directory');
      }
      this.#run(id);
      this.#tell(id, "start");
    });
  }

  async inspect(id: string, c: Call): Promise<Container | null> {
    return await this.#answer("inspect", c, () => this.#entries.get(id)?.container ?? null);
  }

  async list(labels: Readonly<Record<string, string>>, c: Call): Promise<readonly Container[]> {
    return await this.#answer("list", c, () =>
      this.containers.filter((container) =>
        Object.entries(labels).every(([key, value]) => container.labels[key] === value),
      ),
    );
  }

  async stop(id: string, _: number, c: Call): Promise<void> {
    await this.#answer("stop", c, () => {
      if (this.#entries.get(id)?.app) this.die(id, 0);
    });
  }

  async remove(id: string, c: Call): Promise<void> {
    await this.#answer("remove", c, () => this.#take(id));
  }

  async watch(
    _: Readonly<Record<string, string>>,
    onEvent: (event: InstanceEvent) => void,
    c: Call,
  ): Promise<void> {
    await this.#answer("watch", c, () => undefined);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const watcher = { onEvent, end: resolve };
    const onAbort = () => reject(c.signal.reason);
    this.#watchers.add(watcher);
    c.signal.addEventListener("abort", onAbort, { once: true });
    await promise.finally(() => {
      this.#watchers.delete(watcher);
      c.signal.removeEventListener("abort", onAbort);
    });
  }

  async listening(): Promise<null> {
    return null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isDown = true;
    for (const id of [...this.#entries.keys()]) this.#take(id);
  }

  async #answer<T>(operation: Operation, c: Call, work: () => T): Promise<T> {
    c.signal.throwIfAborted();
    this.calls.push(operation);
    await this.onCall(operation);
    await Promise.resolve();
    c.signal.throwIfAborted();
    if (this.#isDown) throw new DewyError("engine-unreachable", "the engine does not answer");
    const fault = this.#nextFault(operation);
    if (fault !== undefined && !fault.isAnswerLost) throw fault.error;
    const answer = work();
    if (fault !== undefined) throw fault.error;
    return answer;
  }

  #nextFault(operation: Operation): Fault | undefined {
    const fault = this.#faults.find((each) => each.operation === operation);
    if (fault === undefined || fault.after-- > 0) return undefined;
    this.#faults.splice(this.#faults.indexOf(fault), 1);
    return fault;
  }

  #run(id: string): void {
    const entry = this.#entry(id);
    const { behaviour } = this.#image(entry.container.image);
    const app = new FakeApp(entry.container.name, entry.ports, behaviour);
    entry.app = app;
    const startedAt = new Date();
    this.#set(id, { status: "running", startedAt, exitCode: null, pid: 0, ports: app.published });
    if (behaviour === "exit") this.die(id, 3);
  }

  #take(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.app?.stop();
    this.#entries.delete(id);
    this.#tell(id, "destroy");
  }

  #set(id: string, fields: Partial<Container>): void {
    const entry = this.#entry(id);
    entry.container = { ...entry.container, ...fields };
  }

  #entry(id: string): Entry {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new DewyError("engine-failed", `no such container: ${id}`);
    return entry;
  }

  #image(reference: string): { image: Image; behaviour: Behaviour } {
    const found = this.#images.get(reference);
    if (found === undefined) throw new DewyError("not-found", `no such image: ${reference}`);
    return found;
  }

  #tell(id: string, action: string): void {
    for (const { onEvent } of this.#watchers) onEvent({ id, action });
  }
}
