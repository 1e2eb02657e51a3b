import { expect, test } from "bun:test";
import { refused } from "../../../src/container/engine/failure.ts";
import type { ErrorCode } from "../../../src/errors.ts";

/** What engines have said, word for word. */
test.each<[string, ErrorCode]>([
  [
    'failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/app": stat /app: no such file or directory: unknown',
    "start-failed",
  ],
  [
    "crun: executable file `/app` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found",
    "start-failed",
  ],
  ["unable to find user web: no matching entries in passwd file", "start-failed"],
  [
    'failed to start shim: exec: "containerd-shim-runc-v2": executable file not found in $PATH: unknown',
    "engine-failed",
  ],
  [
    'driver failed programming external connectivity on endpoint web: exec: "docker-proxy": executable file not found in $PATH',
    "engine-failed",
  ],
  [
    "OCI runtime create failed: error running prestart hook #0: exit status 1, stderr: nvidia-container-cli: initialization error",
    "engine-failed",
  ],
  ["no space left on device", "disk-full"],
])("a start refused with %j is %s", (said, code) => {
  expect(refused("start", "starting the container", { status: 500, said })).toMatchObject({ code });
});
