//! MOSN's paths, byte for byte where scripts depend on it.

use rosn_admin::AdminOptions;
use rosn_config::checked::LogLevel;
use serde_json::json;

use crate::Server;

async fn server() -> Server {
    Server::start(AdminOptions::default()).await
}

#[tokio::test]
async fn replies_that_scripts_read() {
    let server = server().await;
    for (path, status, body) in [
        ("/api/v1/version", 200, "mosn version: 0.1.0"),
        ("/api/v1/states", 200, "pid=4711&state=6\n"),
        ("/api/v1/stats_glob", 200, "request_total:3\n"),
        ("/api/v1/stats", 200, r#"{"downstream":{"listener.in":{"request_total":"3"}}}"#),
        ("/api/v1/stats?key=nothing", 200, "no metrics key: nothing"),
        ("/api/v1/stats?key=a&b=c", 400, "only support one parameter"),
        ("/api/v1/config_dump?router=r&cluster=up", 400, "only support one parameter"),
        ("/api/v1/config_dump?unknown", 500, "{\n\t\"error\": \"internal error\"\n}\n"),
        ("/api/v1/get_loglevel", 200, "{\"/var/log/mosn.log\":\"INFO\"}"),
        ("/api/v1/features", 200, "{\n \"MultiTenantMode\": false,\n \"auto_config\": true\n}"),
        ("/api/v1/features?key=auto_config", 200, "true"),
        ("/api/v1/features?key=other", 200, "false"),
        ("/api/v1/env", 400, "{\n\t\"error\": \"no env key\"\n}\n"),
        (
            "/api/v1/env?key=HOME&key=NO",
            200,
            "{\n \"env\": {\n  \"HOME\": \"/root\"\n },\n \"not_found\": [\n  \"NO\"\n ]\n}",
        ),
        ("/api/v1/plugin?status=all", 200, "\n"),
        ("/api/v1/plugin?enable=p", 400, "pulgin p no register\n"),
        ("/api/v1/plugin?status=p", 400, "pulgin p no register\n"),
    ] {
        let reply = server.get(path).await;
        assert_eq!((reply.status, reply.body.as_str()), (status, body), "{path}");
    }
    assert!(server.get("/api/v1/plugin").await.body.starts_with("Usage:\n"));
}

#[tokio::test]
async fn the_root_lists_every_path() {
    let reply = server().await.get("/").await;
    assert!(reply.body.starts_with("supported APIs:\n/api/v1/version\n"), "{}", reply.body);
    for path in ["/api/v1/config_dump\n", "/stats\n", "/server_info\n", "/api/v1/reload\n"] {
        assert!(reply.body.contains(path), "{path}");
    }
}

#[tokio::test]
async fn configuration_and_its_parts() {
    let server = server().await;
    let whole = server.get("/api/v1/config_dump").await;
    assert!(whole.head.contains("content-type: application/json"));
    let whole = whole.json();
    assert_eq!(whole["listener"]["in"]["address"], "127.0.0.1:2045");
    assert_eq!(whole["mosn_config"]["servers"], json!([{"default_log_path": "stdout"}]));
    assert_eq!(whole["mosn_config"]["cluster_manager"], json!({}));
    let part = async |query: &str| server.get(&format!("/api/v1/config_dump?{query}")).await;
    assert_eq!(part("mosnconfig").await.json(), whole["mosn_config"]);
    assert_eq!(part("allrouters").await.json(), whole["routers"]);
    assert_eq!(part("allclusters=").await.json(), whole["cluster"]);
    assert_eq!(part("alllisteners").await.json(), whole["listener"]);
    assert_eq!(part("router=r").await.json(), whole["routers"]["r"]);
    assert_eq!(part("cluster=up").await.json(), whole["cluster"]["up"]);
    assert_eq!(part("listener=in").await.json(), whole["listener"]["in"]);
    let missing = part("listener=out").await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.json()["names"], json!(["in"]));
}

#[tokio::test]
async fn log_levels_change() {
    let server = server().await;
    let update = |body: &'static str| server.post("/api/v1/update_loglevel", body);
    let done = update(r#"{"log_path": "", "log_level": "DEBUG"}"#).await;
    assert_eq!((done.status, done.body.as_str()), (200, "update logger success\n"));
    assert_eq!(*server.fake.level.lock().unwrap(), LogLevel::Debug);
    for bad in
        ["", "{}", "[1]", r#"{"log_level":"LOUD"}"#, r#"{"log_path":"/x","log_level":"INFO"}"#]
    {
        let refused = update(bad).await;
        let body = "{\n\t\"error\": \"update logger failed\"\n}\n";
        assert_eq!((refused.status, refused.body.as_str()), (400, body), "{bad}");
    }
    let off = server.post("/api/v1/disable_log", "/var/log/mosn.log").await;
    assert_eq!((off.status, off.body.as_str()), (200, "disable logger success\n"));
    assert!(!*server.fake.enabled.lock().unwrap());
    let on = server.post("/api/v1/enable_log", "").await;
    assert_eq!((on.status, on.body.as_str()), (200, "enable logger success\n"));
    let none = server.post("/api/v1/enable_log", "/none").await;
    let body = "{\n\t\"error\": \"enable logger failed\"\n}\n";
    assert_eq!((none.status, none.body.as_str()), (400, body));
}

#[tokio::test]
async fn wrong_methods_get_405_and_nothing_else() {
    let server = server().await;
    for (method, path, allow) in [
        ("POST", "/api/v1/config_dump", "get, head"),
        ("PUT", "/api/v1/states", "get, head"),
        ("DELETE", "/api/v1/stats", "get, head"),
        ("GET", "/api/v1/update_loglevel", "post"),
        ("HEAD", "/api/v1/reload", "post"),
    ] {
        let reply = server.send(method, path, "", "").await;
        assert_eq!((reply.status, reply.body.as_str()), (405, ""), "{method} {path}");
        assert!(reply.head.contains(&format!("allow: {allow}")), "{}", reply.head);
    }
}

#[tokio::test]
async fn what_a_pilot_agent_asks() {
    let server = server().await;
    let stats = server.get("/stats?usedonly&filter=x").await.body;
    assert_eq!(
        stats,
        "cluster_manager.cds.update_success: 0\ncluster_manager.cds.update_rejected: 0\n\
         listener_manager.lds.update_success: 0\nlistener_manager.lds.update_rejected: 0\n\
         server.state: 0\nlistener_manager.workers_started: 1\n"
    );
    let info = server.get("/server_info").await.json();
    assert_eq!(info, json!({"version": "rosn/0.1.0", "state": "LIVE"}));
    let dump = server.get("/config_dump").await.json();
    assert_eq!(dump["configs"][2]["static_listeners"][0]["listener"]["name"], "in");
    server.fake.state.store(8, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(server.get("/server_info").await.json()["state"], "DRAINING");
}
