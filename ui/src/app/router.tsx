/** The addresses of the interface. Pages other than the library load when first opened. */
import { createRootRoute, createRoute, createRouter, Link, lazyRouteComponent } from "@tanstack/react-router";
import { Empty, Note, Page } from "@/components/ui";
import { LibraryPage } from "@/features/library/LibraryPage";
import { parseCompareSearch } from "@/lib/compareSearch";
import { parseLibrarySearch, parsePlacedSearch, parseSearch, stringifySearch } from "@/lib/librarySearch";
import { Shell } from "./Shell";

function NotFound() {
  return (
    <Page>
      <h1 className="visually-hidden">Not found</h1>
      <Empty title="There is no page at this address">
        <p>
          <Link to="/">Go to the library</Link>
        </p>
      </Empty>
    </Page>
  );
}

function Crashed({ error }: { error: unknown }) {
  return (
    <Page>
      <h1 className="visually-hidden">Fault</h1>
      <Note tone="bad" title="This page could not be drawn">
        <p>{error instanceof Error ? error.message : String(error)}</p>
      </Note>
    </Page>
  );
}

const rootRoute = createRootRoute({ component: Shell, notFoundComponent: NotFound });

const libraryRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/",
  validateSearch: parseLibrarySearch,
  component: LibraryPage,
});

const loraRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/lora/$stableId",
  validateSearch: parsePlacedSearch,
  component: lazyRouteComponent(() => import("./EntryPage"), "EntryPage"),
});

const layoutsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/layouts",
  component: lazyRouteComponent(() => import("@/features/layouts/LayoutsPage"), "LayoutsPage"),
});

const indexingRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/indexing",
  component: lazyRouteComponent(() => import("@/features/indexing/IndexingPage"), "IndexingPage"),
});

const compareRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/compare",
  validateSearch: parseCompareSearch,
  component: lazyRouteComponent(() => import("@/features/compare/ComparePage"), "ComparePage"),
});

const healthRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/checks", // `/health` is where programs ask whether the server lives
  component: lazyRouteComponent(() => import("@/features/health/HealthPage"), "HealthPage"),
});

const routeTree = rootRoute.addChildren([
  libraryRoute,
  loraRoute,
  layoutsRoute,
  indexingRoute,
  compareRoute,
  healthRoute,
]);

export function createAppRouter() {
  return createRouter({
    routeTree,
    parseSearch,
    stringifySearch,
    defaultPreload: "intent",
    defaultErrorComponent: Crashed,
    // The library keeps its own place; the one of another search would be put in its way.
    scrollRestoration: ({ location }) => location.pathname !== "/",
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof createAppRouter>;
  }
}
