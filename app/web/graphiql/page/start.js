"use strict";

// GraphiQL's dialogs read the nonce of their style element from this variable.
window.__webpack_nonce__ = document.currentScript.dataset.nonce;

const SESSION = "marquee:session";
const GROUP = "marquee:group"; // of examples, which this tab of the browser shows
const DEMO = JSON.parse(document.currentScript.dataset.demo); // username and password, or null
const FIELDS = "__typename ... on AuthPayload { accessToken refreshToken expiresAt viewer { username } } ... on Error { message }";
const element = (id) => document.getElementById(id);

async function graphql(query, variables) {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { "Content-Type": "application/json", ...(await authorization()) },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (!data) throw new Error(errors.map((error) => error.message).join("; "));
  return data;
}

// The session of this browser tab: the payload of the last sign-in or refresh, or nothing.
const session = () => JSON.parse(sessionStorage.getItem(SESSION));

function keep(payload) {
  if (payload) sessionStorage.setItem(SESSION, JSON.stringify(payload));
  else sessionStorage.removeItem(SESSION);
  element("signed-out").hidden = Boolean(payload);
  element("signed-in").hidden = !payload;
  element("username").textContent = payload?.viewer.username ?? "";
}

let refreshing = null;

async function authorization() {
  if (refreshing) await refreshing;
  else if (session() && Date.parse(session().expiresAt) < Date.now() + 30_000) {
    const { refreshToken } = session();
    keep(null);
    // One refresh at a time: using a refresh token twice ends its session.
    refreshing = enter("refreshSession", { refreshToken }).finally(() => (refreshing = null));
    await refreshing;
  }
  return session() ? { Authorization: `Bearer ${session().accessToken}` } : {};
}

async function enter(mutation, input) {
  const names = Object.keys(input);
  const declared = names.map((name) => `$${name}: String!`).join(", ");
  const fields = names.map((name) => `${name}: $${name}`).join(", ");
  const query = `mutation (${declared}) { result: ${mutation}(input: { ${fields} }) { ${FIELDS} } }`;
  const body = JSON.stringify({ query, variables: input });
  const response = await fetch("/graphql", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  const { data, errors } = await response.json();
  const result = data?.result ?? { message: errors?.[0]?.message };
  element("message").textContent = result.message ?? "";
  keep(result.accessToken ? result : null);
}

element("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  const { username, password } = Object.fromEntries(new FormData(event.target));
  event.target.elements.password.value = "";
  enter(event.submitter?.name ?? "logIn", { username, password });
});

if (DEMO) {
  element("demo").hidden = false;
  element("demo-name").textContent = DEMO[0];
  element("demo").title = `username ${DEMO[0]}, password ${DEMO[1]}`;
  element("demo").addEventListener("click", () => enter("logIn", { username: DEMO[0], password: DEMO[1] }));
}

element("signed-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  await graphql("mutation { logOut { __typename } }").catch(() => null);
  keep(null);
});

async function authorizedFetch(url, options) {
  const headers = new Headers(options.headers);
  // A token in the headers editor takes precedence over that of the form.
  if (!headers.has("Authorization")) new Headers(await authorization()).forEach((value, name) => headers.set(name, value));
  return fetch(url, { ...options, headers });
}

// Yield a subscription's results until it ends or the stop button is pressed.
async function* events(params, { headers } = {}) {
  const stop = new AbortController();
  try {
    const response = await authorizedFetch("/graphql", {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "text/event-stream", ...headers },
      body: JSON.stringify(params),
      signal: stop.signal,
    });
    if (!response.headers.get("Content-Type").startsWith("text/event-stream")) {
      yield await response.json();
      return;
    }
    let text = "";
    const pieces = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let piece = await pieces.read(); !piece.done; piece = await pieces.read()) {
      const whole = (text + piece.value).split("\n\n");
      text = whole.pop();
      for (const event of whole) {
        const data = event.match(/^data: ?(.+)$/m)?.[1];
        if (/^event: ?next$/m.test(event) && data) yield JSON.parse(data);
      }
    }
  } finally {
    stop.abort();
  }
}

function fetcherOf(requests) {
  const subscribes = ({ operationName }, options) =>
    options?.documentAST?.definitions.some(
      (node) => node.operation === "subscription" && (!operationName || node.name?.value === operationName),
    );
  return (params, options) => (subscribes(params, options) ? events : requests)(params, options);
}

// The examples by group. Placeholders are replaced by ids of movies in this catalog and a new username.
async function groups() {
  const examples = await (await fetch("/graphiql/examples.json")).json();
  const popular = await graphql("{ recommendations(first: 3) { nodes { id } } }").catch(() => null);
  const movies = popular?.recommendations.nodes.map(({ id }) => id) ?? [];
  const name = `movie-fan-${Math.floor(1000 + Math.random() * 9000)}`;
  const found = new Map();
  for (const { group, query, variables } of examples) {
    if (!found.has(group)) found.set(group, []);
    found.get(group).push({
      query,
      variables: variables.replace(/MOVIE_(\d)/g, (_, n) => movies[n - 1] ?? "").replace("NEW_USER", name),
      headers: "",
    });
  }
  return found;
}

// GraphiQL keeps the tabs that it shows in its storage; each group has its own.
const storageOf = (group) => {
  const own = (key) => (/:(tabState|query|variables|headers|operationName)$/.test(key) ? `${group}:${key}` : key);
  return {
    getItem: (key) => localStorage.getItem(own(key)),
    setItem: (key, value) => localStorage.setItem(own(key), value),
    removeItem: (key) => localStorage.removeItem(own(key)),
    clear: () => localStorage.clear(),
    get length() {
      return localStorage.length;
    },
  };
};

// The answer of an example, to show before the first click.
async function answerOf(example) {
  const data = await graphql(example.query).catch(() => null);
  return data ? JSON.stringify({ data }, null, 2) : undefined;
}

async function start() {
  keep(session());
  if (!window.GraphiQL) {
    element("graphiql").innerHTML =
      "<p>GraphiQL's files could not be loaded. Connect to the network, or install npm and run make again. The API itself answers at POST /graphql.</p>";
    return;
  }
  const found = await groups();
  const [first] = found.keys();
  const shown = found.has(sessionStorage.getItem(GROUP)) ? sessionStorage.getItem(GROUP) : first;
  for (const [group, tabs] of found) {
    const button = document.createElement("button");
    button.value = button.textContent = group;
    button.setAttribute("aria-pressed", group === shown);
    // GraphiQL reads its tabs once.
    button.addEventListener("click", () => {
      sessionStorage.setItem(GROUP, group);
      location.reload();
    });
    element("groups").append(button);
  }
  const [tabs, storage] = [found.get(shown), storageOf(shown)];
  const kept = JSON.parse(storage.getItem("graphiql:tabState"));
  const active = kept?.tabs[kept.activeTabIndex] ?? tabs[0];
  const isFirst = active.query === found.get(first)[0].query;
  ReactDOM.createRoot(element("graphiql")).render(
    React.createElement(GraphiQL, {
      fetcher: fetcherOf(GraphiQL.createFetcher({ url: "/graphql", fetch: authorizedFetch })),
      defaultTabs: tabs,
      query: active.query,
      variables: active.variables ?? "",
      response: isFirst ? await answerOf(active) : undefined,
      storage,
      defaultEditorToolsVisibility: active.variables ? "variables" : false,
      isHeadersEditorEnabled: true,
      shouldPersistHeaders: false,
      plugins: [...(GraphiQL.HISTORY_PLUGIN ? [GraphiQL.HISTORY_PLUGIN] : []), GraphiQLPluginExplorer.explorerPlugin()],
    }),
  );
}

start();
