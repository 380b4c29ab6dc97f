/// <reference types="vitest/config" />
import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const BACKEND = process.env.LWB_API ?? "http://127.0.0.1:5001";

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  // The server replaces the placeholder with the nonce of each answer; see its ui_files module.
  html: { cspNonce: "__CSP_NONCE__" },
  build: {
    outDir: process.env.LWB_UI_OUT ?? "../src/lora_weights_builder/ui_dist",
    emptyOutDir: true,
    // Browsers with light-dark() and color-mix(), which the tokens are written in.
    target: ["chrome123", "edge123", "firefox120", "safari17.5"],
    // Inlined files would need data: in the policy for fonts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": BACKEND, "/health": BACKEND } },
  test: {
    environment: "jsdom",
    setupFiles: ["src/testing/setup.ts"],
    include: ["src/**/*.test.{ts,tsx}"],
    css: false,
    testTimeout: 30_000,
    restoreMocks: true,
  },
});
