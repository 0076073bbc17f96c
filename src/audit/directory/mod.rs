//! EXW70x: names, tickets and directories: what everything else waits for.

mod kerberos;
mod ldap;
mod logon;
mod names;

pub(super) use kerberos::KERBEROS;
pub(super) use ldap::LDAP;
pub(super) use logon::LOGON;
pub(super) use names::NAMES;
