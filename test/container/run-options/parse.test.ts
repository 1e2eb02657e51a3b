import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { engineProblems } from "../../../src/container/run-options/engine-problems.ts";
import { optionsFingerprint } from "../../../src/container/run-options/fingerprint.ts";
import { parseRunOptions, type RunOptions } from "../../../src/container/run-options/parse.ts";
import { runOptionTable } from "../../../src/container/run-options/table.ts";

function parsed(...args: string[]): RunOptions {
  const { options, problems } = parseRunOptions(args);
  expect(problems).toEqual([]);
  return options;
}

describe("an option", () => {
  test.each<[string[], Partial<RunOptions>]>([
    [["--name", "web"], { name: "web" }],
    [["--platform", "linux/arm/v7"], { platform: "linux/arm/v7" }],
    [["--platform=aarch64"], { platform: "linux/arm64" }],
    [["--stop-timeout", "7"], { stopTimeoutMs: 7000, config: { StopTimeout: 7 } }],
    [["-e", "A=1", "-e", "B"], { environment: { envFiles: [], env: ["A=1", "B"] } }],
    [["--env-file", "-"], { environment: { envFiles: ["-"], env: [] } }],
    [["-u", "app"], { config: { User: "app" } }],
    [["--memory-swap", "-1"], { host: { MemorySwap: -1 } }],
    [["--memory", "1 GiB"], { host: { Memory: 2 ** 30 } }],
    [["--memory", "100b"], { host: { Memory: 100 } }],
    [["--cpus", "1.5"], { host: { NanoCpus: 1.5e9 } }],
    [["--cpus", "0.000000001"], { host: { NanoCpus: 1 } }],
    [["--health-interval", "1m30s"], { config: { Healthcheck: { Interval: 90e9 } } }],
    [["--health-start-interval", "2s"], { config: { Healthcheck: { StartInterval: 2e9 } } }],
    [["--no-healthcheck"], { config: { Healthcheck: { Test: ["NONE"] } } }],
    [["--no-healthcheck", "--health-retries", "0"], { config: { Healthcheck: { Test: ["NONE"] } } }],
    [["--no-healthcheck", "--health-interval", "0s"], { config: { Healthcheck: { Test: ["NONE"] } } }],
    [["--annotation", "a=b"], { host: { Annotations: { a: "b" } } }],
    [["--storage-opt", "size=1g"], { host: { StorageOpt: { size: "1g" } } }],
    [["-v", "./data:/d:ro"], { binds: [{ source: "./data", target: "/d", modes: "ro" }] }],
    [["--network", "a"], { host: { NetworkMode: "a" }, networking: null }],
    [
      ["--network", "a", "--network", "name=b,alias=x", "--network-alias", "y"],
      {
        host: { NetworkMode: "a" },
        networking: { EndpointsConfig: { a: { Aliases: ["y"] }, b: { Aliases: ["x"] } } },
        needs: [{ option: "a second --network", apiVersion: "1.44" }],
      },
    ],
    [["--init", "--"], { host: { Init: true } }],
    [["-w/srv"], { config: { WorkingDir: "/srv" } }],
    [["-w=/srv"], { config: { WorkingDir: "/srv" } }],
    [
      ["--health-cmd", "--not-an-option"],
      { config: { Healthcheck: { Test: ["CMD-SHELL", "--not-an-option"] } } },
    ],
  ])("%j", (args, expected) => {
    expect(parsed(...args)).toMatchObject(expected);
  });
});

describe("every option of the table", () => {
  const names = runOptionTable.flatMap(({ name, aliases }) => [name, ...(aliases ?? [])]);
  const shorts = runOptionTable.flatMap(({ short }) => short ?? []);

  test("stands there once", () => {
    expect(names.filter((name, index) => names.indexOf(name) < index)).toEqual([]);
    expect(shorts.filter((letter, index) => shorts.indexOf(letter) < index)).toEqual([]);
  });

  test.each(runOptionTable.filter(({ rule }) => "refused" in rule).map((spec) => [spec.name, spec] as const))(
    "--%s, which is refused, says why",
    (name, { kind, rule, short }) => {
      const reason = "refused" in rule ? `is ${rule.refused}: ${rule.because}` : "";
      const value = kind === "value" ? ["x"] : [];
      expect(messages(`--${name}`, ...value, "--init")).toEqual([`--${name} ${reason}`]);
      expect(messages(`--${name}=x`)).toEqual([`--${name} ${reason}`]);
      if (short !== undefined) expect(messages(`-${short}`, ...value)).toEqual([`-${short} ${reason}`]);
    },
  );
});

describe("options the sheet forbids are refused by name", () => {
  test.each([
    ...["-d", "-i", "-t", "-p", "-P", "--detach", "--interactive", "--tty", "--publish", "--publish-all"],
    ...[
      "--label-file",
      "--privileged",
      "--pid",
      "--cap-add",
      "--security-opt",
      "--device",
      "--userns",
      "--cgroupns",
    ],
  ])("%s", (option) => {
    expect(messages(option, "x").join("\n")).toStartWith(`${option} is forbidden: `);
    expect(messages(`${option}=x`).join("\n")).toStartWith(`${option} is forbidden: `);
  });

  test.each<[string, string[]]>([
    ["-it", ["-i", "-t"]],
    ["-dit", ["-d", "-i", "-t"]],
    ["-itp8080:80", ["-i", "-t", "-p"]],
    ["-dP", ["-d", "-P"]],
  ])("bundled as %s", (bundle, letters) => {
    expect(messages(bundle).map((message) => message.split(" ", 1)[0] ?? "")).toEqual(letters);
  });

  test.each(["dewy.app=x", "dewy.", "dewy.managed"])("the label %s", (label) => {
    expect(messages("-l", label)).toEqual([
      `-l "${label.split("=", 1)}" is refused: labels that start with "dewy." are dewy's own`,
    ]);
  });
});

function messages(...args: string[]): string[] {
  return parseRunOptions(args).problems.map(({ message }) => message);
}

describe("what is wrong is said", () => {
  test.each<[string[], string]>([
    [["--evn", "A=1"], "--evn is not an option of docker run; did you mean --env?"],
    [["--memroy=1g"], "--memroy is not an option of docker run; did you mean --memory?"],
    [["-memory", "1g"], "-memory is not an option of docker run; did you mean --memory?"],
    [["--quux"], "--quux is not an option of docker run; see `docker run --help`"],
    [["-z"], "-z is not an option of docker run; see `docker run --help`"],
    [["--env"], "--env needs a value; undefined"],
    [["--name", "--init"], "--name needs a value; undefined"],
    [["-e", "-v", "/data"], "-e needs a value; undefined"],
    [["--hostname="], "--hostname has an empty value; write a value, or leave the option out"],
    [["--init=maybe"], "--init takes no value but true or false; write --init or --init=false"],
    [["--memory", "1g", "-m", "2g"], "--memory is given more than once; write it once"],
    [
      ["-e", "A", "--", "x"],
      "argument 3 after the -- belongs to no option; the image comes from the registry and its command from --cmd; put a value that has blanks into quotes",
    ],
    [["--init", "--init"], "--init is given more than once; write it once"],
  ])("%j", (args, expected) => {
    expect(parseRunOptions(args).problems.map(({ message, hint }) => `${message}; ${hint}`)).toEqual([
      expected,
    ]);
  });

  test("all at once, in their order", () => {
    const found = messages(
      "-it",
      "--memory",
      "12q",
      "--evn",
      "A=1",
      "--privileged",
      "-v",
      "~/x:/x",
      "nginx",
      "--foo",
    );
    expect(found.map((message) => message.split(/ (?:is|belongs|")/, 1)[0] ?? "")).toEqual([
      ...["-i", "-t", "--memory", "--evn", "--privileged", "-v", "argument 9 after the --"],
    ]);
  });

  test.each<[string[]]>([
    [["-e", "PASSWORD=hunter", "hunter2"]],
    [["-e", "=hunter2"]],
    [["--log-opt", "hunter2"]],
    [["--log-opt", "=hunter2"]],
    [["--storage-opt", "hunter2"]],
    [["--sysctl", "hunter2"]],
    [["--mount", "dst=/x,volume-opt=o=password=a,hunter2"]],
    [["--mount", "dst=/x,volume-opt==hunter2"]],
    [["--mount", 'dst=/x,volume-opt=o="hunter2']],
    [["--network", "name=a,driver-opt=hunter2"]],
    [["-l", "a b=hunter2"]],
    [["--password=hunter2"]],
    [["-Zhunter2"]],
    [["--annotation", "=hunter2"]],
    [["--gpus", 'count=1,options=x"hunter2']],
  ])("without what may be a secret: %j", (args) => {
    const { problems } = parseRunOptions(args);
    expect(problems).not.toEqual([]);
    expect(JSON.stringify(problems)).not.toContain("hunter2");
  });
});

describe("a value that docker or its engine refuses is refused at start", () => {
  test.each<[string, ...string[]]>([
    ["--add-host", "a", "a:", ":10.0.0.1", "a:300.1.1.1", "a:b", "a=host"],
    ["--blkio-weight", "9", "1001", "x"],
    ["--blkio-weight-device", "/dev/sda", "sda:100", "/dev/sda:5"],
    ["--cap-drop", "a b", "1"],
    ["--cpu-period", "-1", "1000001", "1.5"],
    ["--cpu-shares", "-1", "x"],
    ["--cpus", "x", "-1", "1.0000000001", "."],
    ["--cpuset-cpus", "a", "0-", ",1"],
    ["--device-read-bps", "/dev/sda", "/dev/sda:x", "sda:1m"],
    ["--device-read-iops", "/dev/sda:1k"],
    ["--dns", "x", "1.2.3", "[::1]"],
    ["--dns-search", "-", "1.2", "a b"],
    ["--env", "=x"],
    ["--expose", "0", "65536", "9-8", "80:80", "80/icmp", "x"],
    ["--gpus", "x", "device=0,1", "foo=1", "0", "count=1,count=2", "capabilities"],
    ["--group-add", "a b", "a:b"],
    ["--health-interval", "x", "-1s", "10us", "999999h", "5 s"],
    ["--health-retries", "-1", "1.5", "x"],
    ["--hostname", "-a", "a b", "a/b", "x".repeat(65)],
    ["--ipc", "x", "container:"],
    ["--label", "=x", " =x", "a b=c"],
    ["--log-opt", "x", "=x"],
    ["--memory", "x", "-1", "1q", "1ib", "1mbb", "1e3", "9999999p", ""],
    ["--memory-swap", "-2", "x"],
    ["--memory-swappiness", "-2", "101"],
    [
      "--mount",
      "x",
      "type=bind,dst=/x",
      "type=foo,dst=/x",
      "type=bind,src=/a",
      "dst=rel",
      "dst=/",
      "dst=/x,foo=1",
    ],
    ["--mount", "type=bind,src=a,dst=/x", "dst=/x,src=/a", "type=tmpfs,src=a,dst=/x", "dst=/x,readonly"],
    ["--mount", "dst=/x,tmpfs-size=1m", "type=tmpfs,dst=/x,tmpfs-size=x", "type=tmpfs,dst=/x,tmpfs-mode=9"],
    [
      "--mount",
      "type=bind,src=/a,dst=/x,bind-propagation=x",
      "type=bind,src=/a,dst=/x,ro=maybe",
      "dst=",
      "dst=/x,",
    ],
    [
      "--mount",
      "type=bind,src=/a,dst=/x,bind-recursive=writable",
      "type=bind,src=/a,dst=/x,ro,bind-recursive=readonly",
    ],
    [
      "--mount",
      "type=bind,src=/a,dst=/x,volume-nocopy",
      'dst="/x',
      "type=image,src=a,dst=/x",
      "type=npipe,dst=/x",
    ],
    ["--name", "-a", "a/b", "a b", "x".repeat(201)],
    [
      "--network",
      "host",
      "none",
      "container:x",
      "a b",
      "alias=x",
      "name=a,ip=10.0.0.1",
      "name=a,foo=b",
      "name=host",
    ],
    ["--oom-score-adj", "-1001", "1001"],
    ["--pids-limit", "-2", "x"],
    ["--platform", "linux", "windows/amd64", "linux/foo", "linux/arm/7"],
    ["--restart", "x", "on-failure:", "on-failure:-1", "always:3", ":3", "on-failure:x"],
    ["--shm-size", "x"],
    ["--stop-signal", "SIGFOO", "0", "65", "RTMIN+16"],
    ["--stop-timeout", "-1", "x", "1.5", "86401"],
    ["--storage-opt", "x"],
    ["--sysctl", "kernel.panic=1", "net.core.somaxconn", "x"],
    ["--tmpfs", "rel", "/", "/..", ":size=1m"],
    ["--ulimit", "nofile", "foo=1", "nofile=x", "nofile=2:1", "nofile=-1:1", "nofile=1:2:3", "as=1"],
    ["--user", "a:b:c", ":b", "a:", "a b"],
    ["--uts", "private"],
    [
      "--volume",
      "",
      ":",
      "a:",
      ":/x",
      "a:b",
      "/a:/x:foo",
      "/a:/x:ro,rw",
      "/a:/x:nocopy",
      "a:/x:rslave",
      "/a:/b:ro:z",
    ],
    ["--volume", "/", "rel", "a:/", "~/a:/x", "a/b:/x", "..a:/x", "/a:/x:z,Z"],
    ["--volumes-from", ":ro", "a:foo", "a:nocopy", "a:rslave"],
    ["--workdir", "rel", "./rel"],
  ])("%s %s", (option, ...values) => {
    const taken = values.filter((value) => parseRunOptions([`${option}=${value}`]).problems.length !== 1);
    expect(taken).toEqual([]);
  });

  test.each<[string[], string]>([
    [["--memory-swap", "1g"], "--memory-swap needs --memory"],
    [["-m", "1g", "--memory-swap", "512m"], "--memory-swap is less than --memory"],
    [["-m", "1g", "--memory-reservation", "2g"], "--memory-reservation is more than --memory"],
    [["--cpus", "1", "--cpu-quota", "1000"], "--cpus contradicts --cpu-period and --cpu-quota"],
    [["--no-healthcheck", "--health-retries", "3"], "--no-healthcheck contradicts --health-*"],
    [["--log-driver", "none", "--log-opt", "a=b"], "--log-opt has no use with --log-driver none"],
    [["-v", "/a:/x", "--tmpfs", "/x/"], 'two mounts go to "/x" in the container'],
    [["--network-alias", "a"], "an alias needs a network of your own"],
    [["--network", "name=bridge,alias=a"], "an alias needs a network of your own"],
    [["--network", "bridge", "--network", "a"], "the engine's own bridge goes with no other network"],
    [["--network", "a", "--network", "a"], '--network "a" is given twice'],
    [
      ["--network", "name=a,alias=x", "--network-alias", "y"],
      "--network-alias contradicts alias= in --network",
    ],
  ])("%j", (args, message) => {
    expect(messages(...args)).toEqual([message]);
  });

  test("an option that is wrong by itself contradicts no other", () => {
    expect(messages("--memory", "x", "--memory-swap", "1g")).toEqual(['--memory "x" is not a size']);
  });
});

test("no list of arguments makes it throw, and what it takes it takes whole", () => {
  const words = runOptionTable.flatMap(({ name, short }) => [`--${name}`, `--${name}=`, `-${short ?? "x"}`]);
  const value = fc.oneof(
    fc.string(),
    fc.constantFrom("1", "a=b", "/a:/b", "10s", "type=bind,", '"a,b"', "-1", "true"),
  );
  const token = fc.oneof(
    fc.constantFrom(...words),
    value,
    fc.tuple(fc.constantFrom(...words), value).map(([word, text]) => `${word}=${text}`),
  );
  fc.assert(
    fc.property(fc.array(token, { maxLength: 8 }), (args) => {
      const { options, problems } = parseRunOptions(args);
      for (const { message } of problems) expect(message).not.toBe("");
      expect(JSON.parse(JSON.stringify(options))).toEqual(options);
      // Taken with nothing to say, an option left something behind.
      if (problems.length === 0 && args.some((arg) => /^-\w/.test(arg)))
        expect(options).not.toEqual(parsed());
    }),
    { numRuns: 3000 },
  );
});

describe("an engine that would ignore an option", () => {
  const docker = { name: "docker", version: "28.2.2", apiVersion: "1.50" } as const;
  const podman = { name: "podman", version: "4.3.1", apiVersion: "1.41" } as const;
  const about = (options: RunOptions, engine: Parameters<typeof engineProblems>[1]) =>
    engineProblems(options, engine).map(({ message }) => message.split(" ", 1)[0] ?? "");

  test.each<[string, string[]]>([
    ["1.41", ["--annotation", "--health-start-interval"]],
    ["1.43", ["--health-start-interval"]],
    ["1.44", []],
    ["1.100", []],
    ["2.0", []],
  ])("for its API %s is a problem", (apiVersion, expected) => {
    const options = parsed("--annotation", "a=b", "--annotation", "c=d", "--health-start-interval", "1s");
    expect(about(options, { ...docker, apiVersion })).toEqual(expected);
  });

  test.each([["--domainname=a.test"], ["--gpus=all"], ["--runtime=runc"], ["--add-host=a:host-gateway"]])(
    "as Podman does %s, too",
    (arg) => {
      const options = parsed(arg, "--add-host", "b:10.0.0.1", "--init");
      expect(about(options, podman)).toEqual([arg.split("=", 1)[0] ?? ""]);
      expect(about(options, { ...podman, version: "5.0.0-dev" })).toEqual([]);
      expect(about(options, { ...docker, version: "4.3.1" })).toEqual([]);
    },
  );
});

describe("the fingerprint of what the operator chose", () => {
  const agent = { uid: 0, gid: 0 };
  const base = {
    options: parsed("-e", "A=1", "-e", "B"),
    command: ["serve"],
    ports: [],
    own: { B: "1" },
    agent,
  };
  const ports = [{ proxyPort: 8000, appPort: 8080 }];

  test("is the same for the same choice, in whatever order options of one kind of map were written", () => {
    const one = { ...base, options: parsed("-l", "a=1", "-l", "b=2", "--init", "-m", "1g") };
    const other = { ...base, options: parsed("-m", "1g", "-l", "b=2", "--init", "-l", "a=1") };
    expect(optionsFingerprint(one)).toBe(optionsFingerprint(other));
    expect(optionsFingerprint(base)).toMatch(/^[0-9a-f]{12}$/);
  });

  test.each([
    ["an option", { ...base, options: parsed("-e", "A=2", "-e", "B") }],
    ["an inherited variable", { ...base, own: { B: "2" } }],
    ["an inherited variable that is gone", { ...base, own: {} }],
    ["the command", { ...base, command: [] }],
    ["a container's port", { ...base, ports }],
    ["the user that root images run as", { ...base, agent: { uid: 1000, gid: 1000 } }],
  ])("changes with %s", (_, changed) => {
    expect(optionsFingerprint(changed)).not.toBe(optionsFingerprint(base));
  });

  test("does not change with the proxy's port or a variable nobody asked for", () => {
    const other = { ...base, ports: [{ proxyPort: 9000, appPort: 8080 }], own: { B: "1", C: "3" } };
    expect(optionsFingerprint(other)).toBe(optionsFingerprint({ ...base, ports }));
  });
});
