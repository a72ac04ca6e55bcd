"""The gateway's rules: what may be asked, by whom, and how several descriptions become one."""
