//! Built-in rules: names of caches, secrets and leftovers that nobody wants to upload, each with its reason.
use bstr::{BStr, ByteSlice};
use hashbrown::HashMap;

use crate::archive::own_files::left_over;

/// The patterns, each with its reason.
///
/// A pattern is a name, `*` and the end of a name, or the beginning of a name and `*`. With `/` at the end it applies to
/// folders only; with folders before the name it applies below such folders, at any depth. The pattern of a secret
/// matches in any case of letters, because a file system may not distinguish them. `!` is an exception.
const BUILT_IN: &[(&str, &str)] = &[
    (".git", "version control data"),
    (".hg/", "version control data"),
    (".svn/", "version control data"),
    (".jj/", "version control data"),
    ("__pycache__/", "Python bytecode cache"),
    ("*.pyc", "Python bytecode cache"),
    ("*.pyo", "Python bytecode cache"),
    (".venv/", "virtual environment"),
    (".zen/", "ZenML's local configuration"),
    ("node_modules/", "installed JavaScript packages"),
    (".mypy_cache/", "type checker cache"),
    (".pytest_cache/", "test cache"),
    (".ruff_cache/", "linter cache"),
    (".hypothesis/", "test cache"),
    (".ipynb_checkpoints/", "notebook checkpoints"),
    (".tox/", "virtual environments of tests"),
    (".nox/", "virtual environments of tests"),
    (".eggs/", "build cache"),
    (".DS_Store", "desktop data"),
    (".lightning-native/", "records of lightning-native"),
    (".local/share/lightning-native/", "records of lightning-native"),
    (".env", "secret: environment file"),
    (".env.*", "secret: environment file"),
    (".envrc", "secret: environment file"),
    ("!.env.example", ""),
    ("!.env.sample", ""),
    ("!.env.template", ""),
    ("!.env.dist", ""),
    ("id_rsa", "secret: private key"),
    ("id_dsa", "secret: private key"),
    ("id_ecdsa", "secret: private key"),
    ("id_ecdsa_sk", "secret: private key"),
    ("id_ed25519", "secret: private key"),
    ("id_ed25519_sk", "secret: private key"),
    ("*.ppk", "secret: private key"),
    ("*.p12", "secret: private key"),
    ("*.pfx", "secret: private key"),
    ("*.jks", "secret: private key"),
    ("*.keystore", "secret: private key"),
    ("*.kdbx", "secret: password store"),
    (".password-store/", "secret: password store"),
    (".netrc", "secret: passwords"),
    ("_netrc", "secret: passwords"),
    (".pgpass", "secret: passwords"),
    (".my.cnf", "secret: passwords"),
    (".mylogin.cnf", "secret: passwords"),
    (".htpasswd", "secret: passwords"),
    (".pypirc", "secret: registry token"),
    (".npmrc", "secret: registry token"),
    (".pip/pip.conf", "secret: registry token"),
    (".config/pip/pip.conf", "secret: registry token"),
    (".cargo/credentials", "secret: registry token"),
    (".cargo/credentials.toml", "secret: registry token"),
    (".gem/credentials", "secret: registry token"),
    (".m2/settings.xml", "secret: registry token"),
    (".m2/settings-security.xml", "secret: registry token"),
    (".gradle/gradle.properties", "secret: registry token"),
    (".composer/auth.json", "secret: registry token"),
    (".docker/config.json", "secret: registry token"),
    (".dockercfg", "secret: registry token"),
    (".config/containers/auth.json", "secret: registry token"),
    (".git-credentials", "secret: access token"),
    (".config/git/credentials", "secret: access token"),
    (".config/gh/hosts.yml", "secret: access token"),
    (".config/hub", "secret: access token"),
    (".config/glab-cli/config.yml", "secret: access token"),
    (".huggingface/token", "secret: access token"),
    ("huggingface/token", "secret: access token"),
    ("huggingface/stored_tokens", "secret: access token"),
    ("kaggle.json", "secret: access token"),
    (".kaggle/", "secret: access token"),
    (".comet.config", "secret: access token"),
    (".mlflow/credentials", "secret: access token"),
    (".modal.toml", "secret: access token"),
    (".runpod/config.toml", "secret: access token"),
    (".ngc/config", "secret: access token"),
    (".sentryclirc", "secret: access token"),
    (".vault-token", "secret: access token"),
    (".vault-pass", "secret: passwords"),
    (".vault_pass", "secret: passwords"),
    (".vault_pass.txt", "secret: passwords"),
    (".ansible-vault-pass", "secret: passwords"),
    (".terraformrc", "secret: access token"),
    (".terraform.d/credentials.tfrc.json", "secret: access token"),
    (".pulumi/credentials.json", "secret: access token"),
    (".fly/config.yml", "secret: access token"),
    (".claude/.credentials.json", "secret: access token"),
    (".codex/auth.json", "secret: access token"),
    (".config/zenml/", "secret: access token"),
    (".streamlit/secrets.toml", "secret: application secrets"),
    (".ssh/", "secret: keys"),
    (".gnupg/", "secret: keys"),
    (".aws/", "secret: cloud credentials"),
    (".azure/", "secret: cloud credentials"),
    (".oci/", "secret: cloud credentials"),
    (".config/gcloud/", "secret: cloud credentials"),
    (".config/doctl/config.yaml", "secret: cloud credentials"),
    (".aliyun/config.json", "secret: cloud credentials"),
    (".s3cfg", "secret: cloud credentials"),
    (".boto", "secret: cloud credentials"),
    (".passwd-s3fs", "secret: cloud credentials"),
    ("rclone.conf", "secret: cloud credentials"),
    (".databrickscfg", "secret: cloud credentials"),
    (".snowflake/", "secret: database credentials"),
    (".snowsql/", "secret: database credentials"),
    (".dbt/profiles.yml", "secret: database credentials"),
    (".lightning/credentials.json", "secret: cloud credentials"),
    ("application_default_credentials.json", "secret: cloud credentials"),
    (".kube/config", "secret: cluster credentials"),
    ("kubeconfig", "secret: cluster credentials"),
    ("*.kubeconfig", "secret: cluster credentials"),
];

/// The longest name of any file system.
const NAME: usize = 255;

/// The built-in rules in hash tables, because comparing each of over 100 rules with every path is slow.
#[derive(Debug)]
pub(super) struct BuiltIn {
    names: HashMap<&'static [u8], Vec<Rule>>,
    /// Keyed by the text behind the last dot.
    endings: HashMap<&'static [u8], Rule>,
    beginnings: Vec<(&'static [u8], Rule)>,
}

#[derive(Debug, Clone)]
struct Rule {
    pattern: &'static str,
    reason: &'static str,
    /// The end that the path of the folder must have.
    above: &'static [u8],
    is_for_folders: bool,
    /// Files only, because a folder of code might have this name.
    is_for_files: bool,
    is_for_any_case: bool,
}

impl BuiltIn {
    pub fn new() -> Self {
        let mut rules = Self { names: HashMap::new(), endings: HashMap::new(), beginnings: Vec::new() };
        for &(pattern, reason) in BUILT_IN {
            let is_exception = pattern.starts_with('!');
            let text = pattern.trim_start_matches('!').trim_end_matches('/');
            let (above, name) = text.rsplit_once('/').unwrap_or(("", text));
            let rule = Rule {
                pattern,
                reason,
                above: above.as_bytes(),
                is_for_folders: pattern.ends_with('/'),
                is_for_files: !pattern.ends_with('/') && (!name.starts_with('.') || !above.is_empty()),
                is_for_any_case: is_exception || reason.starts_with("secret"),
            };
            if let Some(ending) = name.strip_prefix("*.") {
                rules.endings.insert(ending.as_bytes(), rule);
            } else if let Some(beginning) = name.strip_suffix('*') {
                rules.beginnings.push((beginning.as_bytes(), rule));
            } else {
                rules.names.entry(name.as_bytes()).or_default().push(rule);
            }
        }
        rules
    }

    /// The reason why `path` stays out, if a rule excludes it.
    pub fn find(&self, path: &BStr, is_folder: bool) -> Option<String> {
        let (above, name) =
            path.rfind_byte(b'/').map_or((&b""[..], path.as_bytes()), |end| (&path[..end], &path[end + 1..]));
        if let Some(reason) = left_over(name, is_folder) {
            return Some(format!("built-in rule: {reason} ({})", name.as_bstr()));
        }
        let mut folded = [0; NAME];
        let folded = folded.get_mut(..name.len())?;
        folded.copy_from_slice(name);
        folded.make_ascii_lowercase();
        let holds = |rule: &&Rule, part: &[u8], pattern: &[u8]| {
            !(if is_folder { rule.is_for_files } else { rule.is_for_folders })
                && (rule.is_for_any_case || part == pattern)
                && (rule.above.is_empty() || ends_with_folders(above, rule.above))
        };
        // `.DS_Store` is the only pattern with upper-case letters.
        let named = self.names.get(&*folded).or_else(|| self.names.get(name));
        let mut found = named.and_then(|rules| {
            let pattern = |rule: &Rule| rule.pattern.trim_matches(['!', '/']).rsplit('/').next().unwrap_or_default();
            rules.iter().find(|rule| holds(rule, name, pattern(rule).as_bytes()))
        });
        if found.is_none()
            && let Some(dot) = name.rfind_byte(b'.')
            && let Some((ending, rule)) = self.endings.get_key_value(&folded[dot + 1..])
        {
            found = Some(rule).filter(|rule| holds(rule, &name[dot + 1..], ending));
        }
        if found.is_none() {
            let begins = |(beginning, _): &&(&[u8], Rule)| folded.starts_with(beginning);
            found = self.beginnings.iter().find(begins).map(|(_, rule)| rule);
        }
        let rule = found.filter(|rule| !rule.pattern.starts_with('!'))?;
        Some(format!("built-in rule: {} ({})", rule.reason, rule.pattern))
    }
}

/// Whether a path ends with these whole folders, in any case of letters.
fn ends_with_folders(path: &[u8], folders: &[u8]) -> bool {
    path.len()
        .checked_sub(folders.len())
        .is_some_and(|start| path[start..].eq_ignore_ascii_case(folders) && (start == 0 || path[start - 1] == b'/'))
}
