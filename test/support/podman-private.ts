import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { engineDirectory, requirePrograms, startCleaner } from "./engine-process.ts";
import { linkName, podmanSettings } from "./engines.ts";

/** A Podman of the test's own that nobody serves: an environment in which `podman` finds its own files. */
export async function privatePodman(): Promise<
  AsyncDisposable & { readonly directory: string; readonly env: Readonly<Record<string, string>> }
> {
  requirePrograms(["podman", "runc", "conmon", "ip"], "podman runc conmon iproute2");
  const directory = engineDirectory();
  const bridge = linkName("q", directory);
  const runtimeDir = join(directory, "user");
  mkdirSync(runtimeDir);
  const storage = join(directory, "storage.conf");
  const roots = `graphroot="${join(directory, "root")}"\nrunroot="${join(directory, "run")}"`;
  writeFileSync(storage, `[storage]\ndriver="overlay"\n${roots}\n`);
  const env = {
    ...podmanSettings(directory, bridge),
    CONTAINERS_STORAGE_CONF: storage,
    XDG_RUNTIME_DIR: runtimeDir,
    PATH: process.env["PATH"] ?? "",
  };
  const cleaner = startCleaner({
    directory,
    links: [bridge],
    removeContainers: ["podman", "rm", "--all", "--force", "--time=0"],
    env,
  });
  return { directory, env, [Symbol.asyncDispose]: () => cleaner.finish() };
}
